//! The faults that the hub can play, and when.

use std::time::Duration;

use super::Side;

/// What goes wrong with one answer.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A header is left out.
    Without(&'static str),
    /// A header is added or replaced.
    With(&'static str, String),
    /// The connection breaks after so many bytes of the body, short of what Content-Length says.
    Cut(usize),
    /// The body ends early, and no Content-Length gives it away.
    Short(usize),
    /// Bytes follow where the file ends, and no Content-Length gives them away.
    Long(usize),
    /// The range is ignored: 200 and the whole file.
    IgnoreRange,
    /// The answer is a range, but not the one that was asked for.
    WrongRange,
    /// Another status, with these headers and a page as body.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// One byte of the file is another one.
    Flip(usize),
    /// A piece at a time, with a pause before each.
    Trickle(usize, Duration),
    /// No answer at all.
    Hang,
    /// The headers, so many bytes, then silence.
    HangAfter(usize),
}

/// When a fault is played.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(super) fault: Fault,
    side: Option<Side>,
    method: Option<&'static str>,
    path: Option<String>,
    passes: usize,
    times: usize,
}

impl Rule {
    /// Plays the fault in every answer.
    pub(crate) fn always(fault: Fault) -> Self {
        Self { fault, side: None, method: None, path: None, passes: 0, times: usize::MAX }
    }

    /// Plays the fault so many times.
    pub(crate) fn times(times: usize, fault: Fault) -> Self {
        Self { times, ..Self::always(fault) }
    }

    /// Plays it only in answers to this method.
    pub(crate) fn on(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Plays it only where the path has this in it.
    pub(crate) fn under(self, path: &str) -> Self {
        Self { path: Some(path.to_owned()), ..self }
    }

    /// Plays it only on this side.
    pub(crate) fn at(self, side: Side) -> Self {
        Self { side: Some(side), ..self }
    }

    /// Lets so many answers pass unharmed first.
    pub(crate) fn after(self, passes: usize) -> Self {
        Self { passes, ..self }
    }

    /// Says whether the fault is to be played now, and counts.
    pub(super) fn applies(&mut self, side: Side, method: &str, path: &str) -> bool {
        let mine = self.side.is_none_or(|it| it == side)
            && self.method.is_none_or(|it| it == method)
            && self.path.as_ref().is_none_or(|it| path.contains(it.as_str()));
        if !mine || self.times == 0 {
            return false;
        }
        if self.passes > 0 {
            self.passes -= 1;
            return false;
        }
        self.times -= 1;
        true
    }
}
