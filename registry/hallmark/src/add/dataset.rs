//! A dataset on the Hub, pinned to a commit.

use std::str::FromStr;

use anyhow::{bail, ensure};

/// Where datasets on the Hub can be read.
const DATASETS: &str = "https://huggingface.co/datasets";

/// A dataset's name and commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatasetName {
    pub(crate) id: String,
    pub(crate) commit: String,
}

impl DatasetName {
    /// Returns the page that shows this state of the dataset.
    pub(crate) fn url(&self) -> String {
        format!("{DATASETS}/{}/tree/{}", self.id, self.commit)
    }
}

impl FromStr for DatasetName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let Some((id, commit)) = text.rsplit_once('@') else {
            bail!(
                "a dataset is written <org>/<name>@<commit>; one elsewhere is given by --set dataset.id=… and dataset.url=…"
            )
        };
        let plain = |part: &str| {
            let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
            !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain)
        };
        // Old datasets of the Hub have no organisation.
        ensure!(
            (1..=2).contains(&id.split('/').count()) && id.split('/').all(plain),
            "{id:?} is no dataset's name"
        );
        let hex = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
        ensure!(
            (7..=40).contains(&commit.len()) && commit.bytes().all(hex),
            "{commit:?} is no commit: a branch or tag can move, so give the 7 to 40 hex digits of the commit"
        );
        Ok(Self { id: id.to_owned(), commit: commit.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_named_with_the_commit_it_had() {
        let name: DatasetName = "org/data-set.v1@0123abc".parse().unwrap();
        assert_eq!(name.url(), "https://huggingface.co/datasets/org/data-set.v1/tree/0123abc");
        assert_eq!("squad@0123abc".parse::<DatasetName>().unwrap().id, "squad");
        let wrong = |text: &str| text.parse::<DatasetName>().unwrap_err().to_string();
        assert!(wrong("org/name").contains("<org>/<name>@<commit>"));
        assert!(wrong("org/name@main").contains("\"main\" is no commit"));
        assert!(wrong("a/b/c@0123abc").contains("no dataset's name"));
        assert!(wrong("../b@0123abc").contains("no dataset's name"));
    }
}
