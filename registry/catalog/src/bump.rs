//! The version after a version.

use semver::{Prerelease, Version};

/// Which part of a version goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bump {
    /// What used the model may have to change.
    Major,
    /// It can do more.
    Minor,
    /// It does the same, better.
    Patch,
}

impl Bump {
    /// Returns the next version. A pre-release is followed by the release that it came before, where that is enough.
    pub fn after(self, version: &Version) -> Version {
        let Version { major, minor, patch, pre, .. } = version;
        let unreleased = !pre.is_empty();
        let (major, minor, patch) = match self {
            Self::Major if unreleased && (*minor, *patch) == (0, 0) => (*major, 0, 0),
            Self::Minor if unreleased && *patch == 0 => (*major, *minor, 0),
            Self::Patch if unreleased => (*major, *minor, *patch),
            Self::Major => (major.saturating_add(1), 0, 0),
            Self::Minor => (*major, minor.saturating_add(1), 0),
            Self::Patch => (*major, *minor, patch.saturating_add(1)),
        };
        Version { pre: Prerelease::EMPTY, ..Version::new(major, minor, patch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_after_a_pre_release_is_its_release() {
        let check = |bump: Bump, from: &str, to: &str| {
            assert_eq!(bump.after(&Version::parse(from).unwrap()).to_string(), to, "{bump:?} {from}");
        };
        check(Bump::Patch, "1.2.3", "1.2.4");
        check(Bump::Minor, "1.2.3", "1.3.0");
        check(Bump::Major, "1.2.3+build", "2.0.0");
        check(Bump::Patch, "1.2.3-alpha.1", "1.2.3");
        check(Bump::Minor, "1.2.0-rc.1", "1.2.0");
        check(Bump::Minor, "1.2.1-rc.1", "1.3.0");
        check(Bump::Major, "2.0.0-rc.1", "2.0.0");
        check(Bump::Major, "2.0.1-rc.1", "3.0.0");
    }
}
