//! One client of the relay: its socket, its session, and what it waits for.

mod bell;
mod pipeline;
mod stored;

use std::{
    future::{pending, poll_fn},
    ops::ControlFlow,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use base::{Clock as _, SystemClock, hex};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use ledger::{
    Accepted,
    relay::{Session, Step},
};
use rand::RngCore as _;
use tokio::{
    sync::broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use self::{
    bell::Bell,
    pipeline::{Pipeline, Stage},
};
use crate::{ledger::Ledger, metrics::Seated};

/// How many frames of a client are taken in one go.
const FRAMES_MAX: usize = 256;
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

struct Client {
    ledger: Ledger,
    session: Session,
    socket: WebSocket,
    seated: Seated,
    write_time_max: Duration,
    pipeline: Pipeline,
    /// What comes into the log; heard only while there is a subscription, since every event wakes whoever listens.
    news: Option<News>,
}

type News = broadcast::Receiver<Arc<Accepted>>;
type Heard = Result<Message, axum::Error>;

/// What comes from without, which is seldom: most of what a client's task is woken for comes from the log.
enum Outside {
    Stopped,
    Message(Option<Heard>),
    Ping,
}

/// Serves one client until it goes or has to.
pub(super) async fn serve(ledger: Ledger, socket: WebSocket, write_time_max: Duration) {
    let mut challenge = [0; 16];
    rand::rng().fill_bytes(&mut challenge);
    let (session, steps) = Session::new(Arc::clone(ledger.relay()), hex::text(&challenge), SystemClock.now());
    let (seated, pipeline) = (ledger.metrics().session(), Pipeline::default());
    let mut client = Client { ledger, session, socket, seated, write_time_max, pipeline, news: None };
    let end = match client.take(steps).await {
        ControlFlow::Break(end) => end,
        ControlFlow::Continue(()) => client.run().await,
    };
    client.close(end).await;
}

impl Client {
    async fn run(&mut self) -> End {
        let stop = self.ledger.stop().clone();
        let mut stopped = pin!(stop.cancelled());
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let bell = Bell::default();
        loop {
            let has_room = self.pipeline.has_room();
            let outside = poll_fn(|context| {
                bell.poll(context, |context| {
                    if stopped.as_mut().poll(context).is_ready() {
                        return Poll::Ready(Outside::Stopped);
                    }
                    if !has_room {
                        // The socket is left out, and has to be looked at as soon as there is room.
                        bell.ring();
                    } else if let Poll::Ready(message) = self.socket.poll_next_unpin(context) {
                        return Poll::Ready(Outside::Message(message));
                    }
                    pings.poll_tick(context).map(|_| Outside::Ping)
                })
            });
            let done = tokio::select! {
                biased;
                outside = outside => match outside {
                    Outside::Stopped => return End::Stopped,
                    Outside::Message(message) => {
                        heard = Instant::now();
                        self.hear_all(message).await
                    }
                    Outside::Ping if has_room && heard.elapsed() > SILENCE_MAX => {
                        return End::Sent("nothing was heard for too long");
                    }
                    Outside::Ping => self.send(Message::Ping(Vec::new().into())).await,
                },
                Some(stage) = self.pipeline.next() => self.go_on(stage).await,
                news = next(&mut self.news) => self.tell(news).await,
            };
            if let ControlFlow::Break(end) = done {
                return end;
            }
            // What is known by now goes out together.
            while let Some(Some(stage)) = self.pipeline.next().now_or_never() {
                if let ControlFlow::Break(end) = self.go_on(stage).await {
                    return end;
                }
            }
            self.seated.holds(self.session.subscriptions());
            if self.session.subscriptions() == 0 {
                self.news = None;
            }
            if let ControlFlow::Break(end) = self.flush().await {
                return end;
            }
        }
    }

    /// Takes a message, and what has come right behind it: events that come together are checked together.
    async fn hear_all(&mut self, first: Option<Heard>) -> ControlFlow<End> {
        self.hear(first).await?;
        // Others wait for their turn too: what this client is sent, and the stop.
        for _ in 1..FRAMES_MAX {
            if !self.pipeline.has_room() {
                break;
            }
            let Some(message) = self.socket.next().now_or_never() else { break };
            self.hear(message).await?;
        }
        self.pipeline.check(&self.ledger);
        ControlFlow::Continue(())
    }

    async fn hear(&mut self, message: Option<Heard>) -> ControlFlow<End> {
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
                Step::Verify(claimed) => self.pipeline.gather(*claimed, &self.ledger),
                Step::Read(id, filters) => {
                    self.pipeline.check(&self.ledger);
                    self.read(id, filters).await?;
                }
                Step::Count(id, filters) => {
                    self.pipeline.check(&self.ledger);
                    self.count(id, filters).await?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes what became of a group of events.
    async fn go_on(&mut self, stage: Stage) -> ControlFlow<End> {
        match stage {
            Stage::Checked(checked) => {
                let mut done = ControlFlow::Continue(());
                for verified in checked {
                    let steps = match verified.map(|it| self.session.verified(it)) {
                        Ok(Ok(prepared)) => {
                            self.pipeline.keep(prepared);
                            continue;
                        }
                        Ok(Err(instead)) => vec![instead],
                        Err(error) => self.session.rejected(&error, SystemClock.now()),
                    };
                    done = self.take(steps).await;
                    if done.is_break() {
                        break;
                    }
                }
                // Also if this was one mistake too many: what came before it is let in.
                self.pipeline.write(&self.ledger);
                done?;
            }
            Stage::Settled(settled) => {
                for (id, outcome) in settled {
                    let frame = self.session.outcome(id, &outcome);
                    self.feed(frame).await?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Sends what came into the log, and what came right behind it.
    async fn tell(&mut self, news: Result<Arc<Accepted>, RecvError>) -> ControlFlow<End> {
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
            news = match self.news.as_mut().map(News::try_recv) {
                Some(Ok(it)) => Some(Ok(it)),
                Some(Err(TryRecvError::Lagged(by))) => Some(Err(RecvError::Lagged(by))),
                _ => None,
            };
        }
        ControlFlow::Continue(())
    }

    /// Puts a frame into the socket's buffer; waits, within a bound, if that is full.
    async fn feed(&mut self, frame: String) -> ControlFlow<End> {
        in_time(self.write_time_max, self.socket.feed(Message::Text(frame.into()))).await
    }

    async fn send(&mut self, message: Message) -> ControlFlow<End> {
        in_time(self.write_time_max, self.socket.send(message)).await
    }

    async fn flush(&mut self) -> ControlFlow<End> {
        in_time(self.write_time_max, self.socket.flush()).await
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
        drop(timeout(Duration::from_secs(1), self.socket.send(Message::Close(Some(frame)))).await);
    }
}

/// Waits for what comes into the log; for ever if nobody listens.
async fn next(news: &mut Option<News>) -> Result<Arc<Accepted>, RecvError> {
    match news {
        Some(news) => news.recv().await,
        None => pending().await,
    }
}

async fn in_time(limit: Duration, write: impl Future<Output = Result<(), axum::Error>>) -> ControlFlow<End> {
    let mut write = pin!(write);
    // Nearly always all of it is taken at once, and nobody has to look at the clock.
    let done = match poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout(limit, write).await,
    };
    match done {
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
