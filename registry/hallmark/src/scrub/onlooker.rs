//! One bar for all that is hashed.

use base::Sha256;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vault::{Shelf, scrub::Onlooker};

/// Shows how much has been hashed, if there is a terminal.
pub(super) struct Bars(ProgressBar);

impl Bars {
    pub(super) fn new(shelf: &Shelf, digests: &[Sha256], json: bool) -> anyhow::Result<Self> {
        let mut size_bytes = 0;
        for digest in digests {
            size_bytes += shelf.object(digest)?.map_or(0, |it| it.size_bytes());
        }
        // Without a terminal indicatif draws nothing.
        let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let template = "hashing {bar:32.green/dim} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Ok(Self(ProgressBar::with_draw_target(Some(size_bytes), target).with_style(style)))
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Onlooker for Bars {
    fn hashed(&self, _: &Sha256, bytes: u64) {
        self.0.inc(bytes);
    }
}
