//! Puts a load on a relay, for `tests/bench/ledger`: `relay_load HOST:PORT PID EVENTS SUBSCRIBERS`, where PID is the
//! relay's process. Prints one JSON object.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench prints figures")]

use std::{
    fs,
    io::Read as _,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use base::{Clock as _, SystemClock, UnixSeconds};
use futures_util::{SinkExt as _, StreamExt as _, future::join_all};
use ledger::{
    Scheme, SecretKey, Sid, Signed,
    kinds::{Dataset, Operation, Post},
};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{broadcast, mpsc},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

type Line = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How many clients publish at once.
const AUTHORS: usize = 8;
/// How often a question is asked.
const ASKED: usize = 500;
/// How many events are told to all subscribers, one after the other.
const TOLD: usize = 200;
/// How much a subscriber reads at once: more than a frame has, so that one read tells that there is no more.
const READ_BYTES: usize = 4 << 10;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, pid, events, subscribers] = &words[..] else {
        panic!("relay_load HOST:PORT PID EVENTS SUBSCRIBERS")
    };
    let (url, models) = (&format!("ws://{address}/"), format!("http://{address}/v1/models"));
    let number = |it: &str| it.parse::<usize>().expect("a number");
    let (events, subscribers) = (number(events), number(subscribers));
    let request = on_one_thread(request(url.clone()));
    let (published, cpu) = publish(url, pid, signed(0..events)).await;
    let alone = Bystander::ask(models.clone(), ASKED).until_done();
    // Those who ask take their part of the processors, which is not the publishing's: it is timed without them.
    let more = signed(events..events + events / 2);
    let bystander = Bystander::ask(models, usize::MAX);
    publish(url, pid, more).await;
    let meanwhile = bystander.until_now();
    let relayed = on_one_thread(fan_out(url.clone(), subscribers));
    let bare = bare_fan_out(subscribers).await;
    let sent = bare_sockets(subscribers).await;
    println!(
        "{}",
        json!({
            "request_p99_ms": ms(request),
            "publish_per_s": events as f64 / published.as_secs_f64(),
            "publish_relay_cores": cpu.all().as_secs_f64() / published.as_secs_f64(),
            "publish_system_cores": cpu.system.as_secs_f64() / published.as_secs_f64(),
            "bystander_alone_p99_ms": ms(alone),
            "bystander_meanwhile_p99_ms": ms(meanwhile),
            "fan_out_p99_ms": ms(relayed),
            "bare_fan_out_p99_ms": ms(bare),
            "bare_sockets_p99_ms": ms(sent),
        })
    );
}

fn ms(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

async fn line(url: &str) -> Line {
    // Without Nagle's algorithm, as browsers and the clients of databases do: else two small messages in a row wait for
    // the peer's delayed acknowledgement, some 40 ms.
    connect_async_with_config(url, Some(WebSocketConfig::default()), true).await.expect("a connection").0
}

async fn say(line: &mut Line, frame: String) {
    line.send(Message::text(frame)).await.expect("sent");
}

/// Hears the next text.
async fn hear(line: &mut Line) -> Utf8Bytes {
    loop {
        match line.next().await.expect("the relay goes on").expect("a frame") {
            Message::Text(text) => return text,
            Message::Close(why) => panic!("the relay closed: {why:?}"),
            _ => {}
        }
    }
}

/// Asks for the newest hundred of one kind in one subspace, from the question to the end of the answer.
async fn request(url: String) -> Duration {
    let mut line = line(&url).await;
    let mut times = Vec::new();
    for _ in 0..ASKED {
        let begun = Instant::now();
        say(&mut line, r##"["REQ","q",{"#sid":["0xMG"],"kinds":[30405],"limit":100}]"##.to_owned()).await;
        let mut found = 0;
        while hear(&mut line).await.starts_with("[\"EVENT\"") {
            found += 1;
        }
        times.push(begun.elapsed());
        assert_eq!(found, 100);
        say(&mut line, r#"["CLOSE","q"]"#.to_owned()).await;
    }
    p99(times)
}

/// Signs events, a share for each client, as the frames that they are sent in.
fn signed(numbers: Range<usize>) -> Vec<Vec<Message>> {
    let share = numbers.len().div_ceil(AUTHORS);
    let now = SystemClock.now();
    let frames = (0..AUTHORS).map(|author| {
        let own = numbers.clone().skip(author * share).take(share);
        own.map(|it| Message::text(format!("[\"EVENT\",{}]", dataset(it, now).to_json()))).collect()
    });
    frames.collect()
}

/// Publishes events over some connections at once, as fast as they are taken. Returns how long that took, and how much
/// of the processors the relay took for it.
async fn publish(url: &str, pid: &str, frames: Vec<Vec<Message>>) -> (Duration, ProcessorTime) {
    let lines = join_all(frames.iter().map(|_| line(url))).await;
    let (begun, before) = (Instant::now(), ProcessorTime::of(pid));
    let clients = lines.into_iter().zip(frames).map(|(line, frames)| {
        tokio::spawn(async move {
            let (mut sink, mut stream) = line.split();
            let wanted = frames.len();
            let sending = async move {
                for frame in frames {
                    sink.feed(frame).await.expect("sent");
                }
                sink.flush().await.expect("sent");
                sink
            };
            let hearing = async {
                let mut taken = 0;
                while taken < wanted {
                    let frame = stream.next().await.expect("the relay goes on").expect("a frame");
                    let Message::Text(text) = frame else { continue };
                    assert!(text.contains(",true,"), "{text}");
                    taken += 1;
                }
            };
            let (_sink, ()) = tokio::join!(sending, hearing);
        })
    });
    for client in join_all(clients).await {
        client.expect("all of its events were taken");
    }
    (begun.elapsed(), ProcessorTime::of(pid).since(&before))
}

/// Somebody who wants nothing of the relay, and asks the daemon for its models again and again.
struct Bystander {
    stop: Arc<AtomicBool>,
    asking: thread::JoinHandle<Vec<Duration>>,
}

impl Bystander {
    /// Begins to ask, so many times at most, on a thread of its own.
    fn ask(url: String, times_max: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let is_over = Arc::clone(&stop);
        let asking = async move {
            let (client, mut times) = (reqwest::Client::new(), Vec::new());
            loop {
                let begun = Instant::now();
                let answer = client.get(&url).send().await.expect("an answer");
                assert!(answer.status().is_success());
                answer.bytes().await.expect("all of it");
                times.push(begun.elapsed());
                if times.len() >= times_max || is_over.load(Ordering::Relaxed) {
                    return times;
                }
                // One that asks without a pause would be a load of its own.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        Self { stop, asking: begin_on_one_thread(asking) }
    }

    /// Waits until all is asked, and returns how long nearly all answers took at most.
    fn until_done(self) -> Duration {
        p99(self.asking.join().expect("it only asks"))
    }

    /// The same, of what was asked by now.
    fn until_now(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.until_done()
    }
}

/// How much of the processors a process has had.
struct ProcessorTime {
    own: Duration,
    /// What the system did on its behalf: sockets, files, threads.
    system: Duration,
}

impl ProcessorTime {
    fn of(pid: &str) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the relay's process");
        let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
        let mut fields = fields.split_whitespace().skip(11);
        // A hundred ticks are a second, on every Linux that there is.
        let mut time = || {
            Duration::from_millis(fields.next().and_then(|it| it.parse::<u64>().ok()).expect("ticks") * 10)
        };
        Self { own: time(), system: time() }
    }

    fn since(&self, before: &Self) -> Self {
        let [own, system] = [(self.own, before.own), (self.system, before.system)]
            .map(|(now, then)| now.saturating_sub(then));
        Self { own, system }
    }

    fn all(&self) -> Duration {
        self.own + self.system
    }
}

/// Runs what only listens on one thread, so that the relay has the rest of the processors.
fn on_one_thread<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    begin_on_one_thread(work).join().expect("it ends")
}

fn begin_on_one_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> thread::JoinHandle<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    thread::spawn(move || runtime.block_on(work))
}

/// Times how long an event takes from its author to each of many subscribers.
async fn fan_out(url: String, subscribers: usize) -> Duration {
    let events: Vec<String> = (0..TOLD).map(|it| post(it).to_json()).collect();
    let mut sockets = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        let mut line = line(&url).await;
        say(&mut line, r#"["REQ","w",{"kinds":[30300],"limit":0}]"#.to_owned()).await;
        settle(&mut line).await;
        let MaybeTlsStream::Plain(socket) = line.into_inner() else { panic!("a line without TLS") };
        sockets.push(socket.into_std().expect("a socket"));
    }
    let mut times = hear_frames(sockets, frames(&events));
    let mut author = line(&url).await;
    let mut all = Vec::new();
    for event in events {
        let frame = format!("[\"EVENT\",{event}]");
        let begun = Instant::now();
        say(&mut author, frame).await;
        let times = times.recv().await.expect("they all hear it");
        all.extend(times.into_iter().map(|it| it.duration_since(begun)));
        assert!(hear(&mut author).await.contains(",true,"));
    }
    p99(all)
}

/// Hears all that a relay says before the first event: that nothing is stored, and its first ping.
async fn settle(line: &mut Line) {
    let (mut is_listening, mut is_pinged) = (false, false);
    while !(is_listening && is_pinged) {
        match line.next().await.expect("the relay goes on").expect("a frame") {
            Message::Text(text) => is_listening = text.starts_with("[\"EOSE\""),
            Message::Ping(_) => is_pinged = true,
            other => panic!("{other:?}"),
        }
    }
    line.flush().await.expect("a pong is sent");
}

/// Returns a text as the one frame that a server sends it in.
fn frame(text: &str) -> Vec<u8> {
    let length =
        u16::try_from(text.len()).ok().filter(|it| *it > 125).expect("a length that takes two bytes");
    [&[0x81, 126], length.to_be_bytes().as_slice(), text.as_bytes()].concat()
}

/// Returns the frames in which a relay sends some events.
fn frames(events: &[String]) -> Arc<[Vec<u8>]> {
    events.iter().map(|it| frame(&format!("[\"EVENT\",\"w\",{it}]"))).collect()
}

/// Waits on many sockets for the very bytes of some frames, on a thread that does nothing else, and tells of each frame
/// when it was there, socket by socket. It is the relay that is timed, so these leave it what they can of the machine: a
/// task for each of a thousand would keep a core busier than the relay does; whoever sleeps has to be woken by whoever
/// sends, which costs as much as to send and is no matter between two machines; and where both want a core, the relay
/// goes first.
fn hear_frames(sockets: Vec<std::net::TcpStream>, frames: Arc<[Vec<u8>]>) -> mpsc::Receiver<Vec<Instant>> {
    let (heard, times) = mpsc::channel(1);
    thread::spawn(move || {
        rustix::process::setpriority_process(None, 19).expect("whoever waits may wait longer");
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let waiting = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a queue");
        for (number, socket) in (0..).zip(&sockets) {
            socket.set_nonblocking(true).expect("a socket");
            let data = epoll::EventData::new_u64(number);
            epoll::add(&waiting, socket, data, epoll::EventFlags::IN).expect("it waits");
        }
        let (mut ready, mut bytes) = (Vec::with_capacity(sockets.len()), [0; READ_BYTES]);
        for frame in frames.iter() {
            let (mut lengths, mut all) = (vec![0; sockets.len()], Vec::with_capacity(sockets.len()));
            while all.len() < sockets.len() {
                ready.clear();
                epoll::wait(&waiting, spare_capacity(&mut ready), Some(&at_once)).expect("a look");
                for event in &ready {
                    let number = usize::try_from(event.data.u64()).expect("one of the sockets");
                    let length = &mut lengths[number];
                    let more = (&sockets[number]).read(&mut bytes).expect("the other end goes on");
                    assert!(more > 0, "the other end closed");
                    // Nobody sends the next frame before all have this one.
                    assert!(frame.get(*length..*length + more) == Some(&bytes[..more]), "socket {number}");
                    *length += more;
                    if *length == frame.len() {
                        all.push(Instant::now());
                    }
                }
            }
            heard.blocking_send(all).expect("somebody counts");
        }
    });
    times
}

/// Times how long the same bytes take through a bare broadcast channel, to as many tasks.
async fn bare_fan_out(subscribers: usize) -> Duration {
    let (heard, mut times) = mpsc::channel(subscribers * 2);
    let sender = broadcast::Sender::<Arc<str>>::new(64);
    for _ in 0..subscribers {
        let (mut news, heard) = (sender.subscribe(), heard.clone());
        tokio::spawn(async move {
            while let Ok(frame) = news.recv().await {
                assert!(frame.starts_with("[\"EVENT\""));
                heard.send(Instant::now()).await.expect("somebody counts");
            }
        });
    }
    let mut all = Vec::new();
    for number in 0..TOLD {
        let frame: Arc<str> = format!("[\"EVENT\",\"w\",{}]", post(number).to_json()).into();
        let begun = Instant::now();
        sender.send(frame).expect("somebody listens");
        for _ in 0..subscribers {
            all.push(times.recv().await.expect("they all hear it").duration_since(begun));
        }
    }
    p99(all)
}

/// Times how long the same bytes take from a bare broadcast channel through as many sockets, to subscribers like the
/// relay's: what of its time is the system's.
async fn bare_sockets(subscribers: usize) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let sender = broadcast::Sender::<Arc<[u8]>>::new(64);
    let told = sender.clone();
    tokio::spawn(async move {
        for _ in 0..subscribers {
            let (mut socket, _) = listener.accept().await.expect("a subscriber");
            socket.set_nodelay(true).expect("a socket");
            let mut news = told.subscribe();
            tokio::spawn(async move {
                while let Ok(frame) = news.recv().await {
                    socket.write_all(&frame).await.expect("a subscriber that reads");
                }
            });
        }
    });
    let telling = async move {
        let events: Vec<String> = (0..TOLD).map(|it| post(it).to_json()).collect();
        let (frames, mut sockets) = (frames(&events), Vec::with_capacity(subscribers));
        for _ in 0..subscribers {
            let socket = TcpStream::connect(address).await.expect("a connection");
            sockets.push(socket.into_std().expect("a socket"));
        }
        let mut times = hear_frames(sockets, Arc::clone(&frames));
        while sender.receiver_count() < subscribers {
            tokio::task::yield_now().await;
        }
        let mut all = Vec::new();
        for frame in frames.iter() {
            let frame: Arc<[u8]> = frame.as_slice().into();
            let begun = Instant::now();
            sender.send(frame).expect("somebody listens");
            let times = times.recv().await.expect("they all hear it");
            all.extend(times.into_iter().map(|it| it.duration_since(begun)));
        }
        p99(all)
    };
    tokio::task::spawn_blocking(|| on_one_thread(telling)).await.expect("it ends")
}

fn operation(content: String, created_at: UnixSeconds) -> Operation {
    Operation { created_at, sid: Sid::parse("0xLOAD").ok(), content, ..Operation::default() }
}

fn dataset(number: usize, now: UnixSeconds) -> Signed {
    let key = SecretKey::from_bytes([u8::try_from(number % 200 + 1).unwrap_or(1); 32]).expect("a key");
    let text = |name: &str| Some(format!("{name}_{number}"));
    let view = Dataset {
        project_id: text("proj"),
        task_id: text("task"),
        category: Some("Sales".to_owned()),
        format: Some("jsonl".to_owned()),
        contributors: vec![format!("contributor_{}", number % 1000)],
    };
    let content = format!("{{\"dataset\":[],\"number\":{number},\"text\":\"{}\"}}", "x".repeat(200));
    key.sign(view.draft(operation(content, now)), Scheme::SpecEip191)
}

fn post(number: usize) -> Signed {
    let key = SecretKey::from_bytes([7; 32]).expect("a key");
    let content = format!("{number} {}", "x".repeat(400));
    key.sign(Post::default().draft(operation(content, SystemClock.now())), Scheme::SpecEip191)
}
