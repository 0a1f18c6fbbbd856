//! The steps that take time: looking at the disk, fetching, deploying. Each is a job; its end comes back as a value.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use base::{ModelId, Sha256};
use catalog::Listed;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{LocalBoxFuture, Shared, WeakShared},
    stream::FuturesUnordered,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::sleep};
use vault::{
    Downloader, Object, Progress, Promise, Want,
    view::{EntryPath, RepoName},
};

use crate::{
    delivery::{
        self, End, deploy,
        fetch::{self, Fetched},
        look::look_on_shelf,
    },
    gate::Gate,
    host::Host,
    metrics::Metrics,
    order::Order,
    world::{Shown, Transfer},
};

/// How many jobs may be at the disk at once. Those that show files and those that hide them must not overtake each
/// other: what is held would come into sight again.
const DISK_JOBS_MAX: usize = 1;

/// The least time between two looks of the gate at a log that grows.
const REVIEW_PAUSE: Duration = Duration::from_millis(20);

/// What is on the shelf, by digest.
pub(super) type Found = BTreeMap<Sha256, Fetched>;

/// How a job ended.
pub(super) enum Done {
    /// One model's files were looked for.
    Looked { id: ModelId, ticket: u64, result: anyhow::Result<(Found, BTreeMap<Sha256, Want>)> },
    /// One model came to its end.
    Settled { id: ModelId, ticket: u64, end: End, files: Option<Vec<(EntryPath, Object)>> },
    /// A repository was shown in the cache on disk, or not, because of one model.
    Published { repo: RepoName, by: ModelId, hidden: BTreeMap<String, String> },
    /// Something was done to the disk.
    Moved,
    /// The log has grown, and for these models the gate says something else.
    Reviewed(BTreeSet<ModelId>),
    /// The views on disk were listed.
    Viewed(anyhow::Result<Vec<ModelId>>),
    /// It was called off.
    Nothing,
}

pub(super) type Job = LocalBoxFuture<'static, Done>;

/// What jobs work with; a new one with each config.
pub(super) struct Tools {
    pub(super) host: Arc<Host>,
    /// What judges what models rest on, if the policy asks for that and this host has a log.
    pub(super) gate: Option<Arc<Gate>>,
    downloader: Downloader,
    metrics: Arc<Metrics>,
    disk: Arc<Semaphore>,
    /// Files that are being fetched: whoever wants the same bytes waits for the same flight.
    flights: RefCell<BTreeMap<Sha256, Flight>>,
}

struct Flight {
    fetched: WeakShared<LocalBoxFuture<'static, Fetched>>,
    transfer: Arc<Transfer>,
}

impl Tools {
    /// `disk` outlives a config: a job of the one before must not show what a job of this one hides.
    pub(super) fn new(
        host: Arc<Host>,
        gate: Option<Arc<Gate>>,
        downloader: Downloader,
        metrics: Arc<Metrics>,
        disk: Arc<Semaphore>,
    ) -> Self {
        Self { host, gate, downloader, metrics, disk, flights: RefCell::default() }
    }

    /// Makes the turns in which jobs come to the disk.
    pub(super) fn turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(DISK_JOBS_MAX))
    }

    pub(super) fn disk(&self) -> Arc<Semaphore> {
        Arc::clone(&self.disk)
    }

    /// Looks which files of a model are here.
    pub(super) fn look(self: &Rc<Self>, order: Arc<Order>, ticket: u64) -> Job {
        let tools = Rc::clone(self);
        async move {
            let (host, id) = (Arc::clone(&tools.host), order.id.clone());
            let look = move || look_on_shelf(&host, std::slice::from_ref(order.as_ref()));
            let result = tools.at_disk(look).await.and_then(|it| it);
            Done::Looked { id, ticket, result }
        }
        .boxed_local()
    }

    /// Fetches what is missing, then deploys. The transfers say how far it is.
    pub(super) fn fetch(
        self: &Rc<Self>,
        order: Arc<Order>,
        ticket: u64,
        mut found: Found,
        wants: BTreeMap<Sha256, Want>,
    ) -> (Job, Vec<Arc<Transfer>>) {
        let flights = wants.into_values().map(|want| (want.digest, self.board(want))).collect::<Vec<_>>();
        let transfers = flights.iter().map(|(_, (_, transfer))| Arc::clone(transfer)).collect();
        let tools = Rc::clone(self);
        let job = async move {
            let mut flights = flights
                .into_iter()
                .map(|(digest, (flight, _))| flight.map(move |it| (digest, it)))
                .collect::<FuturesUnordered<_>>();
            while let Some((digest, fetched)) = flights.next().await {
                found.insert(digest, fetched);
            }
            tools.settle(order, ticket, found).await
        };
        (job.boxed_local(), transfers)
    }

    /// Deploys a model, or says why not.
    async fn settle(self: Rc<Self>, order: Arc<Order>, ticket: u64, found: Found) -> Done {
        let (host, gate, id) = (Arc::clone(&self.host), self.gate.clone(), order.id.clone());
        let finish = move || {
            let end = delivery::finish(&host, gate.as_deref(), &order, &found);
            let files =
                matches!(end, End::Deployed { .. }).then(|| delivery::proven(&order, &found)).flatten();
            (end, files)
        };
        let (end, files) = self.at_disk(finish).await.unwrap_or_else(|error| (End::failed(&error), None));
        Done::Settled { id, ticket, end, files }
    }

    /// Keeps a model out of sight.
    pub(super) fn hold(
        self: &Rc<Self>,
        order: Arc<Order>,
        ticket: u64,
        why: Vec<crate::policy::Objection>,
    ) -> Job {
        let tools = Rc::clone(self);
        async move {
            let (host, id) = (Arc::clone(&tools.host), order.id.clone());
            let held = tools.at_disk(move || delivery::hold(&host, &order, why)).await.and_then(|it| it);
            let end = held.unwrap_or_else(|error| End::failed(&error));
            Done::Settled { id, ticket, end, files: None }
        }
        .boxed_local()
    }

    /// Shows a repository in the cache on disk, as it is now, since one of its models has come.
    pub(super) fn publish(self: &Rc<Self>, repo: RepoName, by: ModelId, models: Vec<Arc<Shown>>) -> Job {
        let tools = Rc::clone(self);
        async move {
            let (host, name) = (Arc::clone(&tools.host), repo.clone());
            let publish = move || {
                let (mut hidden, mut orders, mut fetched) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
                for shown in &models {
                    let id = &shown.order.id;
                    // A model that went out of sight while this waited for its turn stays there.
                    match host.store.view(id) {
                        Ok(None) => continue,
                        Ok(Some(_)) => orders.push(shown.order.as_ref()),
                        Err(error) => {
                            hidden.insert(id.to_string(), format!("look at its view: {error}"));
                        }
                    }
                    fetched.extend(shown.files.values().map(|it| (it.digest(), Fetched::Stands(it.clone()))));
                }
                hidden.extend(deploy::hub_views(&host, &orders, &fetched, Some(&name)));
                hidden
            };
            let hidden = tools.at_disk(publish).await.unwrap_or_default();
            Done::Published { repo, by, hidden }
        }
        .boxed_local()
    }

    /// Asks the gate for which models its answer is another one now that the log has grown.
    pub(super) fn review(gate: Arc<Gate>, models: Vec<Arc<Listed>>) -> Job {
        async move {
            // What comes in a burst is looked at once.
            sleep(REVIEW_PAUSE).await;
            let changed = spawn_blocking(move || gate.changed(&models)).await;
            Done::Reviewed(changed.unwrap_or_else(|panic| {
                tracing::error!("What models rest on could not be looked at again: {panic}");
                BTreeSet::new()
            }))
        }
        .boxed_local()
    }

    /// Lists the models that have a view on disk.
    pub(super) fn views(self: &Rc<Self>) -> Job {
        let tools = Rc::clone(self);
        async move {
            let host = Arc::clone(&tools.host);
            let list = move || {
                let views = host.store.views().context("list the deployed models")?;
                Ok(views.into_iter().map(|it| it.id).collect())
            };
            Done::Viewed(tools.at_disk(list).await.and_then(|it| it))
        }
        .boxed_local()
    }

    /// Runs something long that changes what is on disk.
    pub(super) fn in_background(work: impl FnOnce() + Send + 'static) -> Job {
        async move {
            if let Err(panic) = spawn_blocking(work).await {
                tracing::error!("Work in the background failed: {panic}");
            }
            Done::Moved
        }
        .boxed_local()
    }

    /// Runs something that waits for the disk, where it holds up nobody.
    async fn at_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let seat = Arc::clone(&self.disk).acquire_owned().await.context("wait for the disk")?;
        // A job that is called off leaves its work to end by itself: until then the seat is taken.
        let work = move || {
            let done = work();
            drop(seat);
            done
        };
        spawn_blocking(work).await.context("work on a thread")
    }

    /// Takes a seat on the flight that brings a file, and starts one if there is none.
    fn board(self: &Rc<Self>, want: Want) -> (Shared<LocalBoxFuture<'static, Fetched>>, Arc<Transfer>) {
        let mut flights = self.flights.borrow_mut();
        flights.retain(|_, it| it.fetched.upgrade().is_some());
        let digest = want.digest;
        if let Some((flight, transfer)) =
            flights.get(&digest).and_then(|it| Some((it.fetched.upgrade()?, Arc::clone(&it.transfer))))
        {
            return (flight, transfer);
        }
        let transfer = Arc::new(Transfer::new(want.name.clone(), want.size_bytes));
        let progress: Arc<dyn Progress> = transfer.clone();
        // A flight must not keep the tools alive that hold it.
        let tools = Rc::downgrade(self);
        let flight = fly(tools, want, progress).boxed_local().shared();
        if let Some(fetched) = flight.downgrade() {
            flights.insert(digest, Flight { fetched, transfer: Arc::clone(&transfer) });
        }
        (flight, transfer)
    }
}

async fn fly(tools: Weak<Tools>, want: Want, progress: Arc<dyn Progress>) -> Fetched {
    let Some(tools) = tools.upgrade() else {
        return Fetched::Failed { why: "the daemon stops".to_owned(), is_final: false };
    };
    let promise = if tools.host.config.vault.verify_checksums { Promise::Kept } else { Promise::Waived };
    let fetched = fetch::one(&tools.downloader, &tools.host.shelf, &want, promise, &progress).await;
    match &fetched {
        Fetched::Came(_) => tools.metrics.fetch("came", want.size_bytes),
        Fetched::Failed { .. } => tools.metrics.fetch("failed", 0),
        Fetched::Wrong { .. } => tools.metrics.fetch("wrong", 0),
        Fetched::Stands(_) | Fetched::StandsUnproven(_) => {}
    }
    fetched
}
