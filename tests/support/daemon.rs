//! The daemon as clients meet it: `hallmark serve` on a free port, its log in a file of the host.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::host::Host;

/// How long a story waits for something before it fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to leave the daemon alone between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// A daemon that serves. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    url: String,
    log: PathBuf,
    client: Client,
}

impl Daemon {
    /// Starts a daemon on a host and waits until it serves.
    pub(crate) fn start(host: &Host) -> Self {
        Self::start_with(host, &[])
    }

    /// Asks for a path as it stands: clients like to tidy it.
    pub(crate) async fn raw(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Starts a daemon with more words on its command line.
    pub(crate) fn start_with(host: &Host, words: &[&str]) -> Self {
        let words = [&["serve", "--listen", "127.0.0.1:0"], words].concat();
        Self::run(host, host.command(&words))
    }

    /// Starts a daemon that finds a small disk of its own at a folder of the host, if something may be mounted here.
    pub(crate) fn start_with_disk(host: &Host, folder: &str, size: &str) -> Option<Self> {
        let folder = host.path(folder);
        fs::create_dir_all(&folder).unwrap();
        let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && exec \"$@\"");
        let disk = ["unshare", "-Urm", "sh", "-c", &mount, folder.to_str().unwrap()];
        let may_mount = Command::new(disk[0]).args(&disk[1..]).arg("true").output();
        may_mount.is_ok_and(|it| it.status.success()).then(|| Self::start_through(host, &disk))
    }

    /// Starts a daemon by a command that becomes it.
    pub(crate) fn start_through(host: &Host, words: &[&str]) -> Self {
        let (program, words) = words.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(words).arg(env!("CARGO_BIN_EXE_hallmark")).current_dir(host.path(""));
        command.args(host.arguments(&["serve", "--listen", "127.0.0.1:0"]));
        Self::run(host, command)
    }

    fn run(host: &Host, mut command: Command) -> Self {
        let log = host.path("daemon.log");
        command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("hallmark serves on ") else {
            let ended = child.wait().unwrap();
            panic!("the daemon said {line:?} and ended with {ended}: {}", fs::read_to_string(&log).unwrap());
        };
        let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { child, url: url.to_owned(), log, client: client.build().unwrap() }
    }

    /// Returns where it serves, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns the host and port that it serves on.
    pub(crate) fn address(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns a path as the daemon sees it, which may have disks that nobody else has.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.id()));
        root.join(path.strip_prefix("/").unwrap())
    }

    /// Returns a client that follows no redirects.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks for a path.
    pub(crate) async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// Asks for a path, and makes sure that the answer is JSON with status 200.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// Returns a counter of `/metrics`, by its name and labels; nothing if it is not there.
    pub(crate) async fn counter(&self, name: &str) -> Option<u64> {
        let metrics = self.get("/metrics").await.text().await.unwrap();
        let mut values =
            metrics.lines().filter_map(|it| it.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        values.next_back()
    }

    /// Returns how a model stands.
    pub(crate) async fn state(&self, id: &str) -> Value {
        self.json(&format!("/v1/models/{id}")).await
    }

    /// Waits until a model is in a state, and returns how it stands.
    pub(crate) async fn until(&self, id: &str, state: &str) -> Value {
        let path = format!("/v1/models/{id}");
        self.until_says(&path, &format!("{id} is {state}"), |it| it["state"] == state).await
    }

    /// Waits until what a path answers is so, and returns it.
    pub(crate) async fn until_says(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await.text().await.unwrap();
            let value = serde_json::from_str(&answer).unwrap_or(Value::Null);
            if is_so(&value) {
                return value;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}: {answer}\n{}", self.log());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Returns what it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to end, and returns its exit code and its log.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        self.signal(Signal::SIGTERM);
        let ended = self.child.wait().unwrap();
        (ended.code(), self.log())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
