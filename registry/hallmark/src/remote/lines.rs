//! An answer that comes line by line.

use anyhow::{Context as _, bail};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::wire::{ENDED, refusal, whole};

/// The longest line of an answer that comes line by line.
const LINE_BYTES_MAX: usize = 4 << 20;

/// Begins to read an answer line by line, unless it says what is wrong.
pub(super) async fn lines(status: u16, body: Incoming) -> anyhow::Result<Lines> {
    if status != 200 {
        return Err(refusal(&whole(body).await?));
    }
    Ok(Lines { body, buffer: BytesMut::new(), is_over: false })
}

/// An answer that comes line by line.
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    is_over: bool,
}

impl Lines {
    /// Returns the next line without its end; nothing when the answer is over.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|it| *it == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let line = std::str::from_utf8(&line).context("read the daemon's answer")?;
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.is_over {
                return Ok(None);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                bail!("a line of the daemon's answer is longer than {LINE_BYTES_MAX} bytes");
            }
            match self.body.frame().await {
                Some(frame) => {
                    let frame = frame.context(ENDED)?;
                    self.buffer.extend(frame.data_ref().into_iter().flatten());
                }
                None => self.is_over = true,
            }
        }
    }
}
