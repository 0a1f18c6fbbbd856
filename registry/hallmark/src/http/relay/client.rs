//! One client of the relay: what its task waits for, and does with its line.

mod bell;
mod pipeline;
mod stored;

use std::{future::poll_fn, ops::ControlFlow, pin::pin, sync::Arc, task::Poll, time::Duration};

use base::{Clock as _, SystemClock, hex};
use bytes::Bytes;
use futures_util::FutureExt as _;
use ledger::relay::{Session, Step};
use rand::RngCore as _;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use self::{
    bell::Bell,
    pipeline::{Pipeline, Stage},
};
use super::{
    hall::{Hall, Place},
    line::{Line, Missed, Socket},
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
    /// It cannot be told of what came into the log.
    Failed,
}

struct Client {
    ledger: Ledger,
    line: Arc<Line>,
    bell: Bell,
    hall: Arc<Hall>,
    /// Only while there is a subscription.
    place: Option<Place>,
    seated: Seated,
    write_time_max: Duration,
    pipeline: Pipeline,
}

type Heard = Result<Message, tungstenite::Error>;

/// What a client's task is woken for.
enum Call {
    Stopped,
    /// A crier could not send all that came into the log.
    Stirred,
    Message(Option<Heard>),
    Ping,
    Stage(Stage),
}

/// Serves one client until it goes or has to.
pub(super) async fn serve(ledger: Ledger, hall: Arc<Hall>, socket: Socket, write_time_max: Duration) {
    let mut challenge = [0; 16];
    rand::rng().fill_bytes(&mut challenge);
    let (session, steps) = Session::new(Arc::clone(ledger.relay()), hex::text(&challenge), SystemClock.now());
    let (seated, pipeline) = (ledger.metrics().session(), Pipeline::default());
    let (bell, news_max) = (Bell::default(), ledger.config().client_queue_max);
    let line = Arc::new(Line::new(session, socket, bell.waker().clone(), news_max));
    let mut client = Client { ledger, line, bell, hall, place: None, seated, write_time_max, pipeline };
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
        loop {
            if let ControlFlow::Break(end) = self.settle().await {
                return end;
            }
            let has_room = self.pipeline.has_room();
            let outside = poll_fn(|context| {
                self.bell.poll(context, |context| {
                    if stopped.as_mut().poll(context).is_ready() {
                        return Poll::Ready(Call::Stopped);
                    }
                    if self.line.is_stirred() {
                        return Poll::Ready(Call::Stirred);
                    }
                    if !has_room {
                        // The socket is left out, and has to be looked at as soon as there is room.
                        self.bell.ring();
                    } else if let Poll::Ready(message) = self.line.poll_hear(context) {
                        return Poll::Ready(Call::Message(message));
                    }
                    pings.poll_tick(context).map(|_| Call::Ping)
                })
            });
            let call = tokio::select! {
                biased;
                call = outside => call,
                Some(stage) = self.pipeline.next() => Call::Stage(stage),
            };
            self.line.rise();
            let done = match call {
                Call::Stopped => return End::Stopped,
                Call::Stirred => ControlFlow::Continue(()),
                Call::Message(message) => {
                    heard = Instant::now();
                    self.hear_all(message).await
                }
                Call::Ping if has_room && heard.elapsed() > SILENCE_MAX => {
                    return End::Sent("nothing was heard for too long");
                }
                Call::Ping => self.feed(Message::Ping(Bytes::new())).await,
                Call::Stage(stage) => self.go_on(stage).await,
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
            let subscriptions = self.line.state().session.subscriptions();
            self.seated.holds(subscriptions);
            if subscriptions == 0 {
                self.place = None;
            }
        }
    }

    /// Sends all that there is to send, and lets the criers have the line.
    async fn settle(&mut self) -> ControlFlow<End> {
        loop {
            while let Some(frames) = self.next_news()? {
                for frame in frames {
                    self.say(frame).await?;
                }
            }
            self.flush().await?;
            if self.line.rest() {
                return ControlFlow::Continue(());
            }
        }
    }

    fn next_news(&self) -> ControlFlow<End, Option<Vec<String>>> {
        match self.line.next_news() {
            Ok(frames) => ControlFlow::Continue(frames),
            Err(Missed::Slow) => ControlFlow::Break(End::Slow("too slow: more came in than was read")),
            Err(Missed::Unreadable) => ControlFlow::Break(End::Failed),
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
            let message = poll_fn(|context| self.line.poll_hear(context)).now_or_never();
            let Some(message) = message else { break };
            self.hear(message).await?;
        }
        self.pipeline.check(&self.ledger);
        ControlFlow::Continue(())
    }

    async fn hear(&mut self, message: Option<Heard>) -> ControlFlow<End> {
        match message {
            Some(Ok(Message::Text(frame))) => {
                let steps = self.line.state().session.receive(frame.as_str(), SystemClock.now());
                self.take(steps).await
            }
            Some(Ok(Message::Binary(_))) => {
                ControlFlow::Break(End::Sent("frames are texts here, not binary"))
            }
            // The other end's pings are answered below us.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => ControlFlow::Continue(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => ControlFlow::Break(End::Gone),
        }
    }

    /// Does what the session says, in order.
    async fn take(&mut self, steps: Vec<Step>) -> ControlFlow<End> {
        for step in steps {
            match step {
                Step::Send(frame) => self.say(frame).await?,
                Step::Refuse(why, frame) => {
                    self.ledger.metrics().event(why);
                    self.say(frame).await?;
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
                    let verified = verified.map(|it| self.line.state().session.verified(it));
                    let steps = match verified {
                        Ok(Ok(prepared)) => {
                            self.pipeline.keep(prepared);
                            continue;
                        }
                        Ok(Err(instead)) => vec![instead],
                        Err(error) => self.line.state().session.rejected(&error, SystemClock.now()),
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
                    let frame = Session::outcome(id, &outcome);
                    self.say(frame).await?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    async fn say(&mut self, frame: String) -> ControlFlow<End> {
        self.feed(Message::text(frame)).await
    }

    /// Puts a message into the socket's buffer; waits, within a bound, if that is full.
    async fn feed(&mut self, message: Message) -> ControlFlow<End> {
        let mut message = Some(message);
        in_time(self.write_time_max, poll_fn(|context| self.line.poll_feed(context, &mut message))).await
    }

    async fn flush(&mut self) -> ControlFlow<End> {
        in_time(self.write_time_max, poll_fn(|context| self.line.poll_flush(context))).await
    }

    /// Says why, if somebody may still listen.
    async fn close(mut self, end: End) {
        self.place = None;
        let (cause, code, reason) = match end {
            End::Gone => return self.ledger.metrics().session_ended("gone"),
            End::Stopped => ("stopped", CloseCode::Away, "the relay stops"),
            End::Slow(why) => ("slow", CloseCode::Policy, why),
            End::Sent(why) => ("bound", CloseCode::Policy, why),
            End::Failed => {
                ("failed", CloseCode::Error, "what came in could not be read; come back and ask again")
            }
        };
        self.ledger.metrics().session_ended(cause);
        tracing::debug!("A client of the relay was let go: {reason}");
        let frame = CloseFrame { code, reason: reason.into() };
        // Whoever does not read does not hear it either.
        let goodbye = async { (self.feed(Message::Close(Some(frame))).await, self.flush().await) };
        drop(timeout(Duration::from_secs(1), goodbye).await);
    }
}

async fn in_time(
    limit: Duration,
    write: impl Future<Output = Result<(), tungstenite::Error>>,
) -> ControlFlow<End> {
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
fn is_stalled(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(it) if it.kind() == std::io::ErrorKind::TimedOut)
}
