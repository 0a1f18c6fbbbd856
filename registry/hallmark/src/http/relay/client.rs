//! One client of the relay: its socket, its session, and what it waits for.

mod stored;

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use base::{Clock as _, SystemClock, hex};
use futures_util::{
    FutureExt as _, SinkExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{FuturesOrdered, SplitSink, SplitStream},
};
use ledger::{
    Accepted, AppendError, EventId, Outcome, Signed, VerifyError,
    relay::{Session, Step},
};
use rand::RngCore as _;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::{ledger::Ledger, metrics::Seated};

/// How many events of one client are checked or written at once; it waits with the next.
const EVENTS_MAX: usize = 256;
/// How often a client that says nothing is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long a client may say nothing at all, not even that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(90);

/// Why a client is let go.
enum End {
    /// It went.
    Gone,
    /// The daemon stops.
    Stopped,
    /// It does not read what it is sent.
    Slow(&'static str),
    /// It does not keep to the bounds.
    Sent(&'static str),
}

/// What became of an event that a client sent.
enum Checked {
    Verified(EventId, Box<Result<Signed, VerifyError>>),
    Settled(EventId, Result<Outcome, AppendError>),
}

struct Client {
    ledger: Ledger,
    session: Session,
    sink: SplitSink<WebSocket, Message>,
    seated: Seated,
    write_time_max: Duration,
    /// Events in the order in which they came. What is verified is written in that order: parents before children.
    verifying: FuturesOrdered<BoxFuture<'static, Checked>>,
    writing: FuturesOrdered<BoxFuture<'static, Checked>>,
}

/// Serves one client until it goes or has to.
pub(super) async fn serve(ledger: Ledger, socket: WebSocket, write_time_max: Duration) {
    let accepted = ledger.accepted();
    let mut challenge = [0; 16];
    rand::rng().fill_bytes(&mut challenge);
    let (session, steps) = Session::new(Arc::clone(ledger.relay()), hex::text(&challenge), SystemClock.now());
    let (sink, stream) = socket.split();
    let (verifying, writing) = (FuturesOrdered::new(), FuturesOrdered::new());
    let seated = ledger.metrics().session();
    let mut client = Client { ledger, session, sink, seated, write_time_max, verifying, writing };
    let end = match client.take(steps).await {
        ControlFlow::Break(end) => end,
        ControlFlow::Continue(()) => client.run(stream, accepted).await,
    };
    client.close(end).await;
}

impl Client {
    async fn run(
        &mut self,
        mut stream: SplitStream<WebSocket>,
        mut accepted: broadcast::Receiver<Arc<Accepted>>,
    ) -> End {
        let stop = self.ledger.stop().clone();
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let has_room = self.verifying.len() + self.writing.len() < EVENTS_MAX;
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => return End::Stopped,
                Some(checked) = self.writing.next() => self.settled(checked).await,
                Some(checked) = self.verifying.next() => self.checked(checked).await,
                message = stream.next(), if has_room => {
                    heard = Instant::now();
                    self.hear(message).await
                }
                news = accepted.recv() => self.tell(news, &mut accepted).await,
                _ = pings.tick() => {
                    if has_room && heard.elapsed() > SILENCE_MAX {
                        return End::Sent("nothing was heard for too long");
                    }
                    self.send(Message::Ping(Vec::new().into())).await
                }
            };
            if let ControlFlow::Break(end) = done {
                return end;
            }
            self.seated.holds(self.session.subscriptions());
            // What is known by now goes out together.
            while let Some(Some(checked)) = self.writing.next().now_or_never() {
                if let ControlFlow::Break(end) = self.settled(checked).await {
                    return end;
                }
            }
            if let ControlFlow::Break(end) = self.flush().await {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> ControlFlow<End> {
        match message {
            Some(Ok(Message::Text(frame))) => {
                let steps = self.session.receive(frame.as_str(), SystemClock.now());
                self.take(steps).await
            }
            Some(Ok(Message::Binary(_))) => {
                ControlFlow::Break(End::Sent("frames are texts here, not binary"))
            }
            // The other end's pings are answered below us.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => ControlFlow::Continue(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => ControlFlow::Break(End::Gone),
        }
    }

    /// Does what the session says, in order.
    async fn take(&mut self, steps: Vec<Step>) -> ControlFlow<End> {
        for step in steps {
            match step {
                Step::Send(frame) => self.feed(frame).await?,
                Step::Refuse(why, frame) => {
                    self.ledger.metrics().event(why);
                    self.feed(frame).await?;
                }
                Step::End(why) => {
                    self.flush().await?;
                    return ControlFlow::Break(End::Sent(why));
                }
                Step::Verify(claimed) => {
                    let ledger = self.ledger.clone();
                    let verify = async move {
                        let id = claimed.id();
                        match ledger.verify(*claimed).await {
                            Ok(verified) => Checked::Verified(id, Box::new(verified)),
                            Err(error) => Checked::Settled(id, Err(error)),
                        }
                    };
                    self.verifying.push_back(verify.boxed());
                }
                Step::Append(prepared) => {
                    let id = prepared.event().id();
                    let ledger = self.ledger.clone();
                    // Queued now, so that the order is the client's own.
                    let outcome = ledger.submit(*prepared);
                    self.writing.push_back(async move { Checked::Settled(id, outcome.await) }.boxed());
                }
                Step::Read(id, filters) => self.read(id, filters).await?,
                Step::Count(id, filters) => self.count(id, filters).await?,
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes an event whose signature was looked at.
    async fn checked(&mut self, checked: Checked) -> ControlFlow<End> {
        match checked {
            Checked::Verified(id, verified) => {
                let steps = match *verified {
                    Ok(event) => vec![self.session.verified(event)],
                    Err(error) => self.session.rejected(id, &error, SystemClock.now()),
                };
                self.take(steps).await
            }
            settled @ Checked::Settled(..) => self.settled(settled).await,
        }
    }

    /// Takes what the log says about an event.
    async fn settled(&mut self, checked: Checked) -> ControlFlow<End> {
        if let Checked::Settled(id, outcome) = checked {
            let frame = self.session.outcome(id, &outcome);
            self.feed(frame).await?;
        }
        ControlFlow::Continue(())
    }

    /// Sends what came into the log, and what came right behind it.
    async fn tell(
        &mut self,
        news: Result<Arc<Accepted>, RecvError>,
        more: &mut broadcast::Receiver<Arc<Accepted>>,
    ) -> ControlFlow<End> {
        let mut news = Some(news);
        while let Some(next) = news {
            match next {
                Ok(accepted) => {
                    for frame in self.session.live(&accepted) {
                        self.feed(frame).await?;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    return ControlFlow::Break(End::Slow("too slow: more came in than was read"));
                }
                Err(RecvError::Closed) => return ControlFlow::Break(End::Stopped),
            }
            news = match more.try_recv() {
                Ok(it) => Some(Ok(it)),
                Err(broadcast::error::TryRecvError::Lagged(by)) => Some(Err(RecvError::Lagged(by))),
                Err(_) => None,
            };
        }
        ControlFlow::Continue(())
    }

    /// Puts a frame into the socket's buffer; waits, within a bound, if that is full.
    async fn feed(&mut self, frame: String) -> ControlFlow<End> {
        in_time(self.write_time_max, self.sink.feed(Message::Text(frame.into()))).await
    }

    async fn send(&mut self, message: Message) -> ControlFlow<End> {
        in_time(self.write_time_max, self.sink.send(message)).await
    }

    async fn flush(&mut self) -> ControlFlow<End> {
        in_time(self.write_time_max, self.sink.flush()).await
    }

    /// Says why, if somebody may still listen.
    async fn close(&mut self, end: End) {
        let (cause, code, reason) = match end {
            End::Gone => return self.ledger.metrics().session_ended("gone"),
            End::Stopped => ("stopped", close_code::AWAY, "the relay stops"),
            End::Slow(why) => ("slow", close_code::POLICY, why),
            End::Sent(why) => ("bound", close_code::POLICY, why),
        };
        self.ledger.metrics().session_ended(cause);
        tracing::debug!("A client of the relay was let go: {reason}");
        let frame = CloseFrame { code, reason: reason.into() };
        // Whoever does not read does not hear it either.
        drop(timeout(Duration::from_secs(1), self.sink.send(Message::Close(Some(frame)))).await);
    }
}

async fn in_time(limit: Duration, write: impl Future<Output = Result<(), axum::Error>>) -> ControlFlow<End> {
    match timeout(limit, write).await {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(error)) if !is_stalled(&error) => ControlFlow::Break(End::Gone),
        _ => ControlFlow::Break(End::Slow("too slow: what was sent was not read")),
    }
}

/// Says whether the connection itself has lost its patience: it has the same as we have.
fn is_stalled(error: &axum::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |it| it.source());
    let mut kinds = causes.filter_map(|it| it.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    kinds.any(|it| it == std::io::ErrorKind::TimedOut)
}
