//! The line to one client of the relay: its socket and its session, which its own task and a crier take turns with.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use futures_util::{SinkExt as _, StreamExt as _};
use ledger::{Accepted, relay::Session};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

use super::{
    super::connection::{Passed, Wire},
    round::Round,
};

/// A client's end of a WebSocket.
pub(super) type Socket = WebSocketStream<Box<dyn Wire>>;

/// Whoever holds the state may say something: only whole frames are ever put into the socket.
pub(super) struct Line {
    state: Mutex<State>,
    /// Calls the client's task.
    task: Waker,
    /// How many events may wait for the task to send them.
    news_max: usize,
}

pub(super) struct State {
    pub(super) session: Session,
    socket: Socket,
    /// Whether the task waits, and all that was said is sent: only then somebody else may say something.
    rests: bool,
    /// What came into the log since it does not rest, of what the client asks for.
    news: VecDeque<Arc<Accepted>>,
    /// Why it cannot be told of all that it asked for, if so.
    missed: Option<Missed>,
}

/// Why a client cannot be told of all that it asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missed {
    /// It does not read as fast as its news come.
    Slow,
    /// What came into the log could not be read.
    Unreadable,
}

impl Line {
    pub(super) fn new(session: Session, socket: Socket, task: Waker, news_max: usize) -> Self {
        let state = State { session, socket, rests: false, news: VecDeque::new(), missed: None };
        Self { state: Mutex::new(state), task, news_max }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the client of events as far as it asks for them, at once if that is possible.
    pub(super) fn tell(&self, round: &mut Round<'_>) {
        let mut state = self.state();
        let was_resting = state.rests;
        let State { session, socket, rests, .. } = &mut *state;
        round.ask(session, *rests);
        if !round.frames().is_empty() {
            // What cannot be sent now is the task's: it is called as soon as there is room, and has patience only so long.
            let context = &mut Context::from_waker(&self.task);
            let passed = socket.get_mut().pass(round.frames(), context);
            *rests = passed == Passed::Whole;
            if passed == Passed::Not {
                round.leave_all();
            }
        }
        for accepted in round.left() {
            state.rests = false;
            state.keep(accepted, self.news_max);
        }
        let is_called = round.left().next().is_some() || was_resting && !state.rests;
        drop(state);
        if is_called {
            self.task.wake_by_ref();
        }
    }

    /// Notes that the client cannot be told of all that it asked for.
    pub(super) fn miss(&self, why: Missed) {
        let mut state = self.state();
        (state.rests, state.missed) = (false, Some(why));
        drop(state);
        self.task.wake_by_ref();
    }

    /// Lets others say something from now on, unless there is something for the task to do.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state();
        state.rests = state.news.is_empty() && state.missed.is_none();
        state.rests
    }

    /// Says whether a crier has left the task something to do.
    pub(super) fn is_stirred(&self) -> bool {
        !self.state().rests
    }

    /// Takes the line for the task alone. Whatever is said from now on waits for it.
    pub(super) fn rise(&self) {
        self.state().rests = false;
    }

    /// Takes the frames of the next event that came in meanwhile; `None` if there is none.
    pub(super) fn next_news(&self) -> Result<Option<Vec<String>>, Missed> {
        let mut state = self.state();
        if let Some(why) = state.missed {
            return Err(why);
        }
        let next = state.news.pop_front();
        Ok(next.map(|it| state.session.live(&it)))
    }

    /// Takes the next message of the client.
    pub(super) fn poll_hear(&self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.state().socket.poll_next_unpin(context)
    }

    /// Puts a message into the socket's buffer, as soon as that has room.
    pub(super) fn poll_feed(
        &self,
        context: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.state();
        ready!(state.socket.poll_ready_unpin(context))?;
        Poll::Ready(message.take().map_or(Ok(()), |it| state.socket.start_send_unpin(it)))
    }

    /// Sends what is in the socket's buffer.
    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.state().socket.poll_flush_unpin(context)
    }
}

impl State {
    fn keep(&mut self, accepted: &Arc<Accepted>, news_max: usize) {
        if self.news.len() < news_max {
            self.news.push_back(Arc::clone(accepted));
        } else {
            self.missed = Some(Missed::Slow);
            // Nobody will send them any more.
            drop(mem::take(&mut self.news));
        }
    }
}

#[cfg(test)]
mod tests {
    use base::UnixSeconds;
    use tokio::io::DuplexStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// A connection on which somebody else's frame is always under way.
    impl Wire for DuplexStream {
        fn pass(&mut self, _: &[u8], _: &mut Context<'_>) -> Passed {
            Passed::Not
        }
    }

    #[tokio::test]
    async fn a_client_that_rests_is_called_if_it_cannot_be_told() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let socket = Socket::from_raw_socket(Box::new(ours), Role::Server, None).await;
        let (session, _) = Session::new(Arc::default(), String::new(), UnixSeconds(0));
        let line = Line::new(session, socket, Waker::noop().clone(), 16);
        assert!(line.rest() && !line.is_stirred());
        line.miss(Missed::Unreadable);
        assert!(line.is_stirred(), "its task has to look");
        assert!(matches!(line.next_news(), Err(Missed::Unreadable)));
        assert!(!line.rest(), "and may not go on");
    }
}
