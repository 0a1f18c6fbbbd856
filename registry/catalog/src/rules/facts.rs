//! What the rules look at in an entry that keeps the schema, as it stands in the text.

/// The name of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Id,
    Version,
    Chakra,
    License,
    DatasetCommit,
    TrainingCommit,
    Revision,
    /// Not a text of its own: from here on, the file is a companion.
    Companion,
    Name,
    Sha256,
    SizeBytes,
    DownloadUrl,
}

/// The parts of an entry.
#[derive(Debug, Default)]
pub(crate) struct Facts<'t> {
    pub(crate) id: Option<&'t str>,
    pub(crate) version: Option<&'t str>,
    pub(crate) chakra: Option<&'t str>,
    pub(crate) license: Option<&'t str>,
    pub(crate) dataset_commit: Option<&'t str>,
    pub(crate) training_commit: Option<&'t str>,
    pub(crate) revision: Option<&'t str>,
    main: FileFacts<'t>,
    companions: Vec<FileFacts<'t>>,
    in_companion: bool,
}

/// The parts of an artifact, or of a companion.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileFacts<'t> {
    pub(crate) name: Option<&'t str>,
    pub(crate) sha256: Option<&'t str>,
    pub(crate) size_bytes: Option<&'t str>,
    pub(crate) download_url: Option<&'t str>,
}

impl<'t> Facts<'t> {
    /// Forgets an entry.
    pub(crate) fn clear(&mut self) {
        let mut companions = std::mem::take(&mut self.companions);
        companions.clear();
        *self = Self { companions, ..Self::default() };
    }

    /// Takes note of a part.
    pub(crate) fn tell(&mut self, fact: Fact, text: &'t str) {
        let companion = self.companions.last_mut().filter(|_| self.in_companion);
        let file = companion.unwrap_or(&mut self.main);
        let place = match fact {
            Fact::Id => &mut self.id,
            Fact::Version => &mut self.version,
            Fact::Chakra => &mut self.chakra,
            Fact::License => &mut self.license,
            Fact::DatasetCommit => &mut self.dataset_commit,
            Fact::TrainingCommit => &mut self.training_commit,
            Fact::Revision => &mut self.revision,
            Fact::Name => &mut file.name,
            Fact::Sha256 => &mut file.sha256,
            Fact::SizeBytes => &mut file.size_bytes,
            Fact::DownloadUrl => &mut file.download_url,
            Fact::Companion => return,
        };
        *place = Some(text);
    }

    /// Says that what is told from now on is of the next companion.
    pub(crate) fn next_file(&mut self) {
        self.companions.push(FileFacts::default());
        self.in_companion = true;
    }

    /// Says that what is told from now on is of the main file.
    pub(crate) fn main_file(&mut self) {
        self.in_companion = false;
    }

    /// Returns the main file.
    pub(crate) fn main(&self) -> &FileFacts<'t> {
        &self.main
    }

    /// Returns the others.
    pub(crate) fn companions(&self) -> &[FileFacts<'t>] {
        &self.companions
    }

    /// Returns the main file and then its companions.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileFacts<'t>> + Clone {
        std::iter::once(&self.main).chain(&self.companions)
    }
}
