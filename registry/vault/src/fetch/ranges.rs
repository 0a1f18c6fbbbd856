//! Fetches what is missing of one file from one web address, in one piece or in several ranges at once.
//!
//! Ranges are taken in order and are short compared with the file, so the hashing cursor stays close behind
//! the bytes and the digest is known soon after the last of them.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::try_join_all;
use reqwest::{Response, StatusCode};

use crate::{
    client::{Ask, Place, Tries, Web},
    fault::{Fault, SourceError},
    fetch::body::Body,
    limit::Limit,
    progress::{Phase, Progress},
    reply,
    scribe::Scribe,
    settings::Settings,
};

/// One file on its way from one place.
pub(crate) struct Haul<'a> {
    pub(crate) web: &'a Web,
    pub(crate) settings: &'a Settings,
    pub(crate) limit: &'a Limit,
    pub(crate) place: &'a Place,
    pub(crate) scribe: &'a Scribe,
    /// The source's name, for those who watch.
    pub(crate) source: &'a str,
    pub(crate) size_bytes: u64,
    pub(crate) progress: &'a dyn Progress,
    /// The server is known not to serve ranges.
    pub(crate) in_one_piece: bool,
}

impl Haul<'_> {
    /// Fetches every gap.
    pub(crate) async fn run(&self) -> Result<(), Fault> {
        let part_bytes = self.settings.part_bytes.max(1);
        let Some(first) = self.scribe.gap(0, part_bytes) else { return Ok(()) };
        let left = self.size_bytes - first.start;
        if self.in_one_piece || self.settings.parts_max < 2 || left < part_bytes.saturating_mul(2) {
            let gaps = Gaps { next: Mutex::new(0), length_max: u64::MAX };
            return self.work(&gaps, None).await;
        }
        // The first answer shows whether there are ranges at all; only then come the other workers.
        let opened = self.open(&first).await?;
        let gaps = Gaps { next: Mutex::new(first.end), length_max: part_bytes };
        let workers = (1..self.settings.parts_max).map(|_| self.work(&gaps, None));
        let all = workers.chain([self.work(&gaps, Some((first, opened)))]);
        // A future cannot tell which kind it is; boxing them is paid once for each file.
        try_join_all(all.map(Box::pin)).await.map(drop)
    }

    async fn work(&self, gaps: &Gaps, mut begun: Option<(Range<u64>, Response)>) -> Result<(), Fault> {
        loop {
            let (span, opened) = match begun.take() {
                Some((span, opened)) => (span, Some(opened)),
                None => match gaps.take(self.scribe) {
                    Some(span) => (span, None),
                    None => return Ok(()),
                },
            };
            self.part(span, opened).await?;
        }
    }

    /// Opens the first range, with patience.
    async fn open(&self, span: &Range<u64>) -> Result<Response, Fault> {
        let tell = |pause, why: &str| self.tell(pause, why);
        let ask = async || self.ask(span).await.map(|it| (it, 0)).map_err(|it| (it, 0));
        self.web.persist(&self.place.host(), &mut Tries::new(&tell), ask).await
    }

    /// Fetches one range, with patience: each try goes on where the last one ended.
    async fn part(&self, span: Range<u64>, opened: Option<Response>) -> Result<(), Fault> {
        let tell = |pause, why: &str| self.tell(pause, why);
        let (mut at, mut opened) = (span.start, opened);
        let step = async || {
            let before = at;
            let poured = match opened.take() {
                Some(response) => self.pour(response, &mut at, span.end).await,
                None => match self.ask(&(at..span.end)).await {
                    Ok(response) => self.pour(response, &mut at, span.end).await,
                    Err(fault) => Err(fault),
                },
            };
            poured.map(|()| ((), at - before)).map_err(|it| (it, at - before))
        };
        self.web.persist(&self.place.host(), &mut Tries::new(&tell), step).await
    }

    fn tell(&self, pause: Duration, why: &str) {
        self.progress.phase(&Phase::Waiting { pause, why: why.to_owned() });
    }

    /// Asks for a range and makes sure that the answer is just that.
    async fn ask(&self, span: &Range<u64>) -> Result<Response, Fault> {
        let whole = *span == (0..self.size_bytes);
        let etag = self.scribe.journal().etag.clone();
        let ask = Ask { span, if_range: etag.as_deref() };
        let response = self.web.get(self.place, (!whole).then_some(ask)).await?;
        let (url, headers) = (self.place.shown(), response.headers());
        let announced =
            |size| SourceError::Announced { url: self.place.shown(), size_bytes: Some(size), digest: None };
        let fresh = reply::strong_etag(headers);
        if response.status() == StatusCode::OK {
            if let Some(size) = reply::content_length(headers).filter(|it| *it != self.size_bytes) {
                return Err(Fault::Final(announced(size)));
            }
            if !whole {
                return Err(Fault::Changed { unranged: true, url });
            }
            self.scribe.journal().etag = fresh;
            return Ok(response);
        }
        let Some(range) = reply::content_range(headers).filter(|_| !whole) else {
            let what = "a partial answer without a proper Content-Range";
            return Err(Fault::Final(SourceError::Confused { url, what }));
        };
        if let Some(size) = range.total.filter(|it| *it != self.size_bytes) {
            return Err(Fault::Final(announced(size)));
        }
        if range.span.as_ref() != Some(span) {
            return Err(Fault::Final(SourceError::Confused { url, what: "a range that was not asked for" }));
        }
        if etag.is_some() && fresh.is_some() && etag != fresh {
            return Err(Fault::Changed { unranged: false, url });
        }
        if etag.is_none() {
            self.scribe.journal().etag = fresh;
        }
        Ok(response)
    }

    /// Moves a body to the scribe. `at` says how far it came, whatever happens.
    async fn pour(&self, response: Response, at: &mut u64, end: u64) -> Result<(), Fault> {
        self.progress.phase(&Phase::Fetching { source: self.source.to_owned() });
        let mut body = Body::new(response, self.settings);
        loop {
            let bytes = match body.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if *at < end => {
                    return Err(Fault::again(SourceError::Short { url: body.shown(), offset: *at }));
                }
                Ok(None) => return Ok(()),
                // All is here: how the connection ends does not matter any more.
                Err(_) if *at == end => return Ok(()),
                Err(fault) => return Err(fault),
            };
            let length = bytes.len() as u64;
            if *at + length > end {
                return Err(Fault::Final(SourceError::Long { url: body.shown(), offset: end }));
            }
            self.limit.pass(length).await;
            self.scribe.put(*at, bytes).await?;
            *at += length;
        }
    }
}

/// The gaps of a file, handed out in order.
struct Gaps {
    next: Mutex<u64>,
    length_max: u64,
}

impl Gaps {
    fn take(&self, scribe: &Scribe) -> Option<Range<u64>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = scribe.gap(*next, self.length_max)?;
        *next = gap.end;
        Some(gap)
    }
}
