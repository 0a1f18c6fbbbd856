//! A part of an open file as the body of an answer.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::range::Span;
use crate::http::{
    App,
    connection::{Channel, Outbox, PART_BYTES_MAX, Reading},
};

/// How much is read at once.
const READ_BYTES: usize = 256 << 10;
/// Up to here one read and one write together with the head are the quickest way.
const SMALL_BYTES: u64 = 32 << 10;

/// Sends a part of a file, piece by piece.
pub(super) struct FileBody {
    file: Arc<File>,
    rest: Span,
    way: Way,
    app: App,
}

enum Way {
    /// The connection lets the kernel send it.
    Kernel(Outbox),
    /// It is read and handed on, as the client asks for more.
    Read { piece: Option<JoinHandle<io::Result<Bytes>>>, reading: Option<Reading> },
}

impl FileBody {
    /// Makes a body of a part of a file. The kernel sends it if the connection can have it so.
    pub(super) fn of(file: File, span: Span, channel: Option<&Channel>, app: &App) -> io::Result<Body> {
        if span.length() <= SMALL_BYTES {
            let bytes = read(&file, span.start, piece(span, READ_BYTES))?;
            app.metrics().serve(span.length());
            return Ok(Body::from(bytes));
        }
        let way = match channel {
            Some(Channel::Kernel(outbox)) => Way::Kernel(outbox.clone()),
            Some(Channel::Frames(leash)) => Way::Read { piece: None, reading: Some(leash.watch()) },
            None => Way::Read { piece: None, reading: None },
        };
        Ok(Body::new(Self { file: Arc::new(file), rest: span, way, app: app.clone() }))
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.rest.length() == 0 {
            return Poll::Ready(None);
        }
        let start = this.rest.start;
        let bytes = match &mut this.way {
            Way::Kernel(outbox) => outbox.put(&this.file, start, piece(this.rest, PART_BYTES_MAX)),
            Way::Read { piece: next, reading } => {
                reading.iter().for_each(Reading::goes_on);
                let (file, length) = (&this.file, piece(this.rest, READ_BYTES));
                let read = next.get_or_insert_with(|| {
                    let file = Arc::clone(file);
                    spawn_blocking(move || read(&file, start, length))
                });
                let bytes = ready!(Pin::new(read).poll(cx));
                *next = None;
                bytes.map_err(io::Error::other).flatten()?
            }
        };
        this.app.metrics().serve(bytes.len() as u64);
        this.rest.start += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.length())
    }
}

/// Returns how long the next piece is.
fn piece(rest: Span, bytes_max: usize) -> usize {
    usize::try_from(rest.length()).map_or(bytes_max, |it| it.min(bytes_max))
}

/// Reads all of a piece. A file that has become shorter is an error: the client was promised more.
fn read(file: &File, start: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = BytesMut::zeroed(length);
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes.freeze())
}
