//! Fetches one web address and verifies it: for measuring against `curl` on the same file.
//!
//! `pull URL SHA256 SIZE FOLDER`; `PARTS` sets the number of ranges at once.

use std::{env, error::Error, path::PathBuf, sync::Arc, time::Instant};

use base::{Sha256, SystemClock};
use vault::{DiskRoom, Downloader, Partials, Progress, Settings, Source, Want};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to its user")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, digest, size, folder] = env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: pull URL SHA256 SIZE FOLDER")?;
    let source = Source::Web(url.parse()?);
    let want =
        Want { digest: Sha256::parse(&digest)?, size_bytes: size.parse()?, name: url, sources: vec![source] };
    let mut settings = Settings::default();
    if let Ok(parts) = env::var("PARTS") {
        settings.parts_max = parts.parse()?;
    }
    let downloader = Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom));
    let (begun, silent): (_, Arc<dyn Progress>) = (Instant::now(), Arc::new(()));
    let partials = Partials::new(PathBuf::from(folder));
    let partial = downloader.fetch(&want, &partials, &silent).await?;
    let verified = partial.verify(&want)?;
    let peak = std::fs::read_to_string("/proc/self/status")?;
    let peak = peak.lines().find(|it| it.starts_with("VmHWM")).unwrap_or_default().to_owned();
    println!("{:.3} s  {} bytes  {peak}", begun.elapsed().as_secs_f64(), verified.size_bytes());
    Ok(())
}
