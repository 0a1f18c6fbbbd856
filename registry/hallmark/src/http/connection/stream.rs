//! A connection's socket: sends files by the kernel, and lets go of clients that keep it waiting.
//!
//! - A client that takes no byte for too long is let go; so is one that opens a connection and does not begin to speak.
//! - What a slice stands for is looked up before it is written (see [`Outbox`]).
//! - Who holds all of a connection may send bytes past the protocol on top of it (see [`Wire`]).

use std::{
    fs::File,
    io::{self, IoSlice},
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep},
};

use super::outbox::{Next, Outbox};

/// After so many bytes it is known which protocol the client speaks, and that protocol's own limits hold.
const OPENING_BYTES: usize = 24;

/// A socket that the kernel can send files to.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Waits until it may take bytes.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Sends a part of a file, as much as is taken now.
    fn try_send(&self, file: &File, offset: u64, length: usize) -> io::Result<usize>;
}

macro_rules! socket {
    ($type:ty) => {
        impl Socket for $type {
            fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_write_ready(cx)
            }

            fn try_send(&self, file: &File, offset: u64, length: usize) -> io::Result<usize> {
                self.try_io(Interest::WRITABLE, || send_file(self, file, offset, length))
            }
        }
    };
}

socket!(TcpStream);
socket!(UnixStream);

fn send_file(socket: impl AsFd, file: &File, mut offset: u64, length: usize) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::sendfile(&socket, file, Some(&mut offset), length))?)
}

/// How long a client may keep the connection waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To begin to speak.
    pub(super) opening: Duration,
    /// To take the next bytes.
    pub(super) write: Duration,
}

/// A connection whose protocol somebody else speaks too, in whole frames.
pub(in crate::http) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// Sends a frame past whoever writes to this. What does not leave at once is kept, and leaves before anything else
    /// that is written or flushed.
    fn pass(&mut self, frame: &[u8], cx: &mut Context<'_>) -> Passed;
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Passed {
    /// It has left.
    Whole,
    /// Some of it is kept: this has to be flushed.
    Part,
    /// Nothing was done with it: a part of another frame is under way, or the connection has ended.
    Not,
}

pub(super) struct Stream<S> {
    socket: S,
    /// What is left of a frame that was passed.
    kept: Bytes,
    /// Whether some of what was to be written last was not taken.
    is_amid: bool,
    outbox: Outbox,
    /// Runs out if the client does not begin to speak; none once it has.
    opening: Option<(Pin<Box<Sleep>>, usize)>,
    write_max: Duration,
    /// Runs out if the client takes nothing; counts only while `is_stalled`.
    stall: Option<Pin<Box<Sleep>>>,
    is_stalled: bool,
}

impl<S: Socket> Stream<S> {
    pub(super) fn new(socket: S, outbox: Outbox, patience: Patience) -> Self {
        let opening = Some((Box::pin(sleep(patience.opening)), OPENING_BYTES));
        let (kept, is_amid, write_max) = (Bytes::new(), false, patience.write);
        Self { socket, kept, is_amid, outbox, opening, write_max, stall: None, is_stalled: false }
    }

    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            match Pin::new(&mut self.socket).poll_write(cx, &self.kept) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(taken)) => self.kept.advance(taken),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stall(cx).map_ok(drop),
            }
            self.is_stalled = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.outbox.next(slices)? {
            Next::Slices(count) => match &slices[..count] {
                // Costs the kernel less than a list of one.
                [only] => Pin::new(&mut self.socket).poll_write(cx, only),
                slices => Pin::new(&mut self.socket).poll_write_vectored(cx, slices),
            },
            Next::File => loop {
                ready!(self.socket.poll_writable(cx))?;
                match self.outbox.send(|file, offset, length| self.socket.try_send(file, offset, length)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            },
        }
    }

    /// Waits for a client that takes nothing, but not for ever.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let until = Instant::now() + self.write_max;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.is_stalled {
            stall.as_mut().reset(until);
            self.is_stalled = true;
        }
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no more bytes")))
    }
}

impl<S: Socket> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, into);
        let Some((limit, missing)) = &mut this.opening else { return read };
        *missing = missing.saturating_sub(into.filled().len() - before);
        if *missing == 0 {
            this.opening = None;
        } else if read.is_pending() && limit.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not speak")));
        }
        read
    }
}

impl<S: Socket> AsyncWrite for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.opening = None;
        ready!(this.poll_kept(cx))?;
        match this.poll_send(cx, slices) {
            Poll::Pending => {
                this.is_amid = true;
                this.poll_stall(cx)
            }
            done @ Poll::Ready(_) => {
                this.is_stalled = false;
                let length: usize = slices.iter().map(|it| it.len()).sum();
                this.is_amid = !matches!(done, Poll::Ready(Ok(taken)) if taken == length);
                done
            }
        }
    }

    /// Slices must reach this as they are: flattened into one buffer they would stand for nothing.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_kept(cx))?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl<S: Socket> Wire for Stream<S> {
    fn pass(&mut self, frame: &[u8], cx: &mut Context<'_>) -> Passed {
        if self.is_amid || !self.kept.is_empty() {
            return Passed::Not;
        }
        let taken = match Pin::new(&mut self.socket).poll_write(cx, frame) {
            Poll::Ready(Ok(taken)) => taken,
            Poll::Ready(Err(_)) => return Passed::Not,
            Poll::Pending => 0,
        };
        if taken == frame.len() {
            return Passed::Whole;
        }
        self.kept = Bytes::copy_from_slice(&frame[taken..]);
        Passed::Part
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::Arc, task::Waker};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PATIENCE: Patience =
        Patience { opening: Duration::from_millis(100), write: Duration::from_millis(1500) };

    fn pair() -> (Stream<UnixStream>, UnixStream, Outbox) {
        let ((ours, theirs), outbox) = (UnixStream::pair().unwrap(), Outbox::default());
        (Stream::new(ours, outbox.clone(), PATIENCE), theirs, outbox)
    }

    #[tokio::test]
    async fn parts_of_files_arrive_in_their_place_whatever_the_client_takes_at_once() {
        let (mut ours, mut theirs, outbox) = pair();
        let bytes = (0..3_000_000_u32).map(|it| it.to_le_bytes()[1]).collect::<Vec<_>>();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(file);
        let send = async {
            for (start, length) in [(0, 1_000_000), (2_000_000, 1_000_000), (7, 3)] {
                ours.write_all(b"head").await.unwrap();
                let slice = outbox.put(&file, start, length);
                ours.write_all(&slice).await.unwrap();
            }
            ours.shutdown().await.unwrap();
        };
        let mut taken = Vec::new();
        let take = theirs.read_to_end(&mut taken);
        let (done, ()) = tokio::join!(take, send);
        done.unwrap();
        let expected =
            [b"head", &bytes[..1_000_000], b"head", &bytes[2_000_000..], b"head", &bytes[7..10]].concat();
        assert!(taken == expected, "{} bytes came in place of {}", taken.len(), expected.len());
    }

    #[tokio::test]
    async fn a_frame_that_is_passed_leaves_whole_and_in_its_turn() {
        let (mut ours, mut theirs, _) = pair();
        let context = &mut Context::from_waker(Waker::noop());
        let long = (0..3_000_000_u32).map(|it| it.to_le_bytes()[1]).collect::<Vec<_>>();
        assert_eq!(ours.pass(b"first", context), Passed::Whole);
        assert_eq!(ours.pass(&long, context), Passed::Part);
        assert_eq!(ours.pass(b"too early", context), Passed::Not);
        let mut taken = vec![0; 5 + long.len() + 4];
        let (done, read) = tokio::join!(ours.write_all(b"last"), theirs.read_exact(&mut taken));
        done.and(read.map(drop)).unwrap();
        assert!(taken == [b"first", &long[..], b"last"].concat());
        // What was kept leaves with a flush too, and with no other word.
        assert_eq!(ours.pass(&long, context), Passed::Part);
        let mut taken = vec![0; long.len()];
        let (done, read) = tokio::join!(ours.flush(), theirs.read_exact(&mut taken));
        done.and(read.map(drop)).unwrap();
        assert!(taken == long);
        // The protocol above is in the middle of a frame of its own, and then it is not.
        let begun = ours.write(&long).await.unwrap();
        assert_eq!(ours.pass(b"too early", context), Passed::Not);
        let (done, read) = tokio::join!(ours.write_all(&long[begun..]), theirs.read_exact(&mut taken));
        done.and(read.map(drop)).unwrap();
        assert!(taken == long);
        assert_eq!(ours.pass(b"again", context), Passed::Whole);
        drop(theirs);
        assert_eq!(ours.pass(b"to nobody", context), Passed::Not);
    }

    #[tokio::test]
    async fn a_file_that_has_lost_bytes_ends_the_connection() {
        let (mut ours, _theirs, outbox) = pair();
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let slice = outbox.put(&Arc::new(file), 0, 20);
        assert_eq!(ours.write_all(&slice).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_let_go_and_a_slow_one_is_not() {
        let (mut ours, mut theirs, _) = pair();
        let begun = Instant::now();
        let slow = tokio::spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(PATIENCE.write / 3).await;
                theirs.read_exact(&mut vec![0; 256 << 10]).await.unwrap();
            }
            theirs
        });
        let ended = ours.write_all(&vec![0; 8 << 20]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() > 5 * PATIENCE.write / 3, "a slow client was let go");
        drop(slow.await.unwrap());
    }

    #[tokio::test]
    async fn a_client_that_does_not_begin_to_speak_is_let_go() {
        let (mut ours, mut theirs, _) = pair();
        theirs.write_all(b"PRI").await.unwrap();
        let mut read = vec![0; 100];
        assert_eq!(ours.read(&mut read).await.unwrap(), 3);
        assert_eq!(ours.read(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // Once it has begun, the protocol's own limits hold.
        let (mut ours, mut theirs, _) = pair();
        theirs.write_all(&[0; OPENING_BYTES]).await.unwrap();
        assert_eq!(ours.read(&mut read).await.unwrap(), OPENING_BYTES);
        let idle = tokio::time::timeout(2 * PATIENCE.opening, ours.read(&mut read)).await;
        assert!(idle.is_err(), "{idle:?}");
    }
}
