//! The daemon as a service manager knows it: its start, its signals, its end, and what it says meanwhile.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
    process::Stdio,
    time::Duration,
};

use base::Sha256;
use nix::sys::signal::Signal;

use crate::support::{
    daemon::Daemon,
    host::{Host, Said, entry, until},
    hub::{Fault, FixtureHub, Rule, noise},
    peers,
    tls::Identity,
};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_ends_in_the_middle_of_a_download_goes_on_there() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let (hub, bytes) = (FixtureHub::start().await, noise(1, 8 * MIB));
        hub.put("org/ajna-good-v1", "model.bin", &bytes);
        hub.play(Rule::times(1, Fault::HangAfter(5 * MIB)).on("GET"));
        let mut host = Host::of(&hub);
        host.wants(&[entry("ajna-good-v1", &bytes)]);
        host.http.push("stop_seconds_max = 5".to_owned());
        let daemon = Daemon::start(&host);
        let partial = host.store().join(format!("partials/{}.part", Sha256::of(&bytes)));
        until("five mebibytes", || fs::metadata(&partial).is_ok_and(|it| it.len() >= 5 * MIB as u64));
        if signal == Signal::SIGTERM {
            let (code, log) = daemon.stop();
            assert_eq!(code, Some(0), "{log}");
        } else {
            drop(daemon);
        }
        let daemon = Daemon::start(&host);
        daemon.until("ajna-good-v1", "deployed").await;
        let last = hub.ranges().last().unwrap().clone();
        // After a kill only what had been synced counts, and so little is synced at the end alone.
        let goes_on = last == format!("bytes={}-{}", 5 * MIB, 8 * MIB - 1);
        assert!(signal == Signal::SIGKILL || goes_on, "{last}");
        host.check(&[entry("ajna-good-v1", &bytes)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_one_state_folder_says_who_holds_it() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    let second = host.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, Some(2), "{second:#?}");
    let who = format!("process {} serves it already", daemon.id());
    assert!(second.err.contains(&who) && second.err.contains("choose another --state"), "{second:#?}");
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    // One that was killed holds nothing.
    drop(daemon);
    assert_eq!(Daemon::start(&host).stop().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_status_reload_stop_and_the_watchdog() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 1000));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes)]);
    let place = host.path("notify");
    let socket = UnixDatagram::bind(&place).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = host.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &place).env("WATCHDOG_USEC", "300000");
    command.stdout(Stdio::null()).stderr(File::create(host.path("daemon.log")).unwrap());
    let mut child = command.spawn().unwrap();
    let mut heard = String::new();
    let mut hear = |what: &str| {
        while !heard.contains(what) {
            let mut buffer = [0; 4096];
            let length = socket.recv(&mut buffer).unwrap_or_else(|_| panic!("no {what} in {heard}"));
            heard += &(String::from_utf8_lossy(&buffer[..length]).into_owned() + "\n");
        }
    };
    hear("READY=1");
    hear("STATUS=1 deployed");
    hear("WATCHDOG=1");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    hear("RELOADING=1");
    hear("MONOTONIC_USEC=");
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    hear("STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let reloaded = heard.split_once("RELOADING=1").unwrap().1;
    assert!(reloaded.contains("READY=1"), "{heard}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_the_service_manager_opened_is_taken() {
    let Some(python) = peers::program("python3", "socket activation") else { return };
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Hands the socket over as a socket unit does: as descriptor 3, with its count and whom it is for.
    let script = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); \
        os.environ['LISTEN_FDS'] = '1'; os.environ['LISTEN_PID'] = str(os.getpid()); \
        os.execv(sys.argv[2], sys.argv[2:])";
    nix::fcntl::fcntl(&listener, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let mut command = std::process::Command::new(python);
    command.args(["-c", script, &listener.as_raw_fd().to_string(), env!("CARGO_BIN_EXE_hallmark")]);
    command.args(host.arguments(&["serve"])).current_dir(host.path(""));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, format!("hallmark serves on http://{address}\n"));
    let answer = reqwest::get(format!("http://{address}/healthz")).await.unwrap();
    assert_eq!(answer.status(), 200);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.code, Some(0), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_trusts_nobody_serves_what_it_has_and_says_what_to_mend() {
    let hub = FixtureHub::start().await;
    let (old, new) = (noise(1, 1000), noise(2, 1000));
    hub.put("org/ajna-old-v1", "model.bin", &old);
    hub.put("org/ajna-new-v1", "model.bin", &new);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-old-v1", &old)]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-old-v1", "deployed").await;
    assert_eq!(daemon.stop().0, Some(0));
    let trusted = host.path("trusted.pem");
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        host.environment.push((name, trusted.clone()));
    }
    host.deploy.push("retry_seconds_first = 1".to_owned());
    host.wants(&[entry("ajna-old-v1", &old), entry("ajna-new-v1", &new)]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-old-v1", "deployed").await;
    let failed = daemon.until("ajna-new-v1", "failed").await;
    let reason = failed.to_string();
    assert!(reason.contains("CA certificates") && reason.contains("SSL_CERT_FILE"), "{reason}");
    let Some(identity) = Identity::make(&host.path(""), "mending the machine's trust") else { return };
    fs::copy(identity.certificate(), &trusted).unwrap();
    daemon.until("ajna-new-v1", "deployed").await;
}
