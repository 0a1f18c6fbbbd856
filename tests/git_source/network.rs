//! The same over http, ssh and https: outages, credentials, servers that stall or send too much.

use super::*;

#[test]
fn over_http_the_clone_is_shallow_and_grows_by_what_is_new() {
    let scene = Scene::new();
    for round in 0..20 {
        scene.push(&format!("{{{round}}}"));
    }
    let server = GitServer::start(scene.folder.path(), None);
    let follower = follow(&server.place("#main"), scene.options());
    look(&follower);
    let clone = scene.state().join("clone.git");
    let count = || {
        let refs =
            scene.git(&["--git-dir", clone.to_str().unwrap(), "rev-list", "--count", "refs/hallmark/tip"]);
        refs.parse::<u32>().unwrap()
    };
    assert_eq!(count(), 1, "only the newest commit is here");
    scene.push("{20}");
    let newest = scene.push("{21}");
    assert_in_force(&look(&follower), "{21}", newest);
    assert_eq!(count(), 3, "and then what came since");
    let before = server.asked.load(Ordering::SeqCst);
    look(&follower);
    assert_eq!(server.asked.load(Ordering::SeqCst), before + 1, "nothing new is one question");
}

#[test]
fn over_http_a_rewritten_history_is_refused_until_it_is_accepted() {
    let scene = Scene::new();
    for round in 0..5 {
        scene.push(&format!("{{{round}}}"));
    }
    let server = GitServer::start(scene.folder.path(), None);
    let follower = follow(&server.place(""), scene.options());
    let before = look(&follower);
    scene.git(&["reset", "-q", "--hard", "HEAD^^"]);
    let other = scene.push("{other}");
    let seen = look(&follower);
    assert_eq!(seen.good.as_ref().unwrap().origin, before.good.as_ref().unwrap().origin);
    assert!(matches!(failure(&seen), GitError::Rewritten { .. }));
    drop(follower);
    // The same without the clone: what is in force is remembered beside it.
    fs::remove_dir_all(scene.state().join("clone.git")).unwrap();
    let follower = follow(&server.place(""), scene.options());
    assert!(matches!(failure(&look(&follower)), GitError::Rewritten { .. }));
    drop(follower);
    let options = GitOptions { accept_rewritten_history: true, ..scene.options() };
    assert_in_force(&look(&follow(&server.place(""), options)), "{other}", other);
}

#[test]
fn over_http_a_lost_clone_is_made_anew_and_a_descendant_is_still_known_as_one() {
    let scene = Scene::new();
    for round in 0..5 {
        scene.push(&format!("{{{round}}}"));
    }
    let server = GitServer::start(scene.folder.path(), None);
    let follower = follow(&server.place(""), scene.options());
    look(&follower);
    scene.push("{5}");
    let newest = scene.push("{6}");
    fs::remove_dir_all(scene.state().join("clone.git")).unwrap();
    assert_in_force(&look(&follower), "{6}", newest);
}

#[test]
fn an_outage_changes_nothing_and_ends_by_itself() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    let server = GitServer::start(scene.folder.path(), None);
    let (place, address) = (server.place(""), server.address);
    let follower = follow(&place, scene.options());
    assert_in_force(&look(&follower), "{1}", first);
    drop(server);
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    let text = failure(&seen).to_string();
    assert!(text.contains(&address.to_string()) && text.contains("a daemon tries again by itself"), "{text}");

    let second = scene.push("{2}");
    let _server = GitServer::start_at(scene.folder.path(), None, address);
    assert_in_force(&look(&follower), "{2}", second);
}

#[test]
fn credentials_come_from_a_file_and_wrong_ones_are_told_from_none() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    // "x-access-token:s3cret" in base64, as a client sends it.
    let server = GitServer::start(scene.folder.path(), Some("Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0"));
    let login = |token: &str| {
        let path = scene.folder.path().join("token");
        fs::write(&path, format!("{token}\n")).unwrap();
        GitLogin { token_file: Some(path), ..GitLogin::default() }
    };
    let refused = |login: GitLogin| {
        let follower = follow(&server.place(""), GitOptions { login, ..scene.options() });
        let seen = look(&follower);
        assert!(
            matches!(failure(&seen), GitError::Denied { .. } | GitError::Secret { .. }),
            "{:?}",
            seen.look
        );
        failure(&seen).to_string()
    };
    assert!(refused(GitLogin::default()).contains("name a file with a token in `token_file`"));
    let wrong = refused(login("hunter2"));
    assert!(wrong.contains("refuses the credentials") && !wrong.contains("hunter2"), "{wrong}");
    let missing = GitLogin { token_file: Some("/nowhere/token".into()), ..GitLogin::default() };
    assert!(refused(missing).contains("read /nowhere/token"));

    let follower = follow(&server.place(""), GitOptions { login: login("wrong"), ..scene.options() });
    assert!(matches!(failure(&look(&follower)), GitError::Denied { .. }));
    login("s3cret");
    assert_in_force(&look(&follower), "{1}", first);
}

#[test]
fn a_silent_server_is_given_up_and_does_not_hold_up_the_end() {
    let scene = Scene::new();
    // Takes connections into its queue, and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("git+http://{}/models.git", silent.local_addr().unwrap());
    let mut options = scene.options();
    options.limits.silence_max = Duration::from_millis(300);
    let follower = follow(&place, options);
    let seen = look(&follower);
    let text = failure(&seen).to_string();
    assert!(text.contains("it was silent for 300ms"), "{text}");
    drop(follower);

    let follower = follow(&place, scene.options());
    let accepted = silent.accept().unwrap();
    let began = std::time::Instant::now();
    follower.stop();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(accepted);
}

#[test]
fn a_repository_that_sends_too_much_is_cut_off() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    let server = GitServer::start(scene.folder.path(), None);
    let mut options = scene.options();
    options.limits.transfer_bytes_max = 64 << 10;
    let follower = follow(&server.place(""), options);
    assert_in_force(&look(&follower), "{1}", first);
    // Bytes that do not compress.
    let noise: Vec<u8> =
        (0_u32..40_000).flat_map(|it| base::Sha256::of(&it.to_le_bytes()).as_bytes().to_vec()).collect();
    fs::write(scene.work().join("weights.bin"), noise).unwrap();
    scene.push_all("weights");
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    assert!(matches!(failure(&seen), GitError::Flood { bytes_max: 65_536, .. }), "{:?}", seen.look);
}

#[test]
fn over_ssh_a_key_opens_the_repository_and_only_a_known_host_is_trusted() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    let Some(server) = SshServer::start(scene.folder.path()) else { return };
    let place = server.place(&scene.bare());
    let refused = |login: GitLogin| {
        let follower = follow(&place, GitOptions { login, ..scene.options() });
        let seen = look(&follower);
        assert!(seen.good.is_none());
        failure(&seen).to_string()
    };
    let unseen = refused(GitLogin { known_hosts_file: None, ..server.login() });
    assert!(unseen.contains("no host key is trusted unseen"), "{unseen}");
    let other =
        refused(GitLogin { known_hosts_file: Some(server.known_hosts("stranger")), ..server.login() });
    assert!(other.contains("another one than is known: somebody may stand in between"), "{other}");
    let stranger = Some(server.keys.join("stranger"));
    let denied = refused(GitLogin { ssh_key_file: stranger, ssh_passphrase_file: None, ..server.login() });
    assert!(denied.contains("the server refuses the key in `ssh_key_file`"), "{denied}");
    let keyless = refused(GitLogin { ssh_key_file: None, ..server.login() });
    assert!(keyless.contains("name a private key's file in `ssh_key_file`"), "{keyless}");

    let follower = follow(&place, GitOptions { login: server.login(), ..scene.options() });
    let seen = look(&follower);
    assert!(seen.good.is_some(), "{:?}\n{}", seen.look, fs::read_to_string(server.keys.join("log")).unwrap());
    assert_in_force(&seen, "{1}", first);
    let second = scene.push("{2}");
    assert_in_force(&look(&follower), "{2}", second);
}

/// Set for the story that runs once more with the forge's authority trusted, to the forge's port.
const TLS_PLACE: &str = "HALLMARK_STORY_TLS_PLACE";

#[test]
fn over_https_a_certificate_is_judged_by_the_authorities_of_the_system() {
    let scene = Scene::new();
    if let Ok(place) = std::env::var(TLS_PLACE) {
        let seen = look(&follow(&place, scene.options()));
        assert_eq!(seen.good.as_ref().map(|it| it.value.as_str()), Some("{1}"), "{:?}", seen.look);
        return;
    }
    scene.push("{1}");
    let Some(identity) = tls::Identity::make(scene.folder.path(), "an index over https") else { return };
    let server = GitServer::start(scene.folder.path(), None);
    let port = server.encrypt(&identity);
    let place = format!("git+https://localhost:{port}/models.git");

    let seen = look(&follow(&place, scene.options()));
    let text = failure(&seen).to_string();
    assert!(text.contains("its certificate is refused"), "{text}");

    let story = "git_source::network::over_https_a_certificate_is_judged_by_the_authorities_of_the_system";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", story, "--nocapture"])
        .env(TLS_PLACE, place)
        .env("SSL_CERT_FILE", identity.certificate())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
