//! Repositories over ssh: a real `sshd` for each connection, with a host key and a user key of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use catalog::git::GitLogin;

use super::peers;

/// A server of repositories, with keys in a folder of its own.
pub(crate) struct SshServer {
    pub(crate) address: SocketAddr,
    pub(crate) keys: PathBuf,
}

impl SshServer {
    /// Returns `None`, and says so, where there is no `sshd`.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/run/current-system/sw/bin/sshd"]
            .into_iter()
            .find(|it| Path::new(it).exists());
        let Some(sshd) = sshd else {
            peers::skip("an index over ssh", "there is no sshd (Debian: openssh-server)");
            return None;
        };
        let keys = folder.join("keys");
        fs::create_dir(&keys).unwrap();
        for (name, passphrase) in [("host", ""), ("user", "open sesame"), ("stranger", "")] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
                .arg(keys.join(name))
                .status();
            assert!(made.unwrap().success());
        }
        fs::copy(keys.join("user.pub"), keys.join("authorized")).unwrap();
        fs::write(keys.join("passphrase"), "open sesame\n").unwrap();
        let config = format!(
            "HostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nStrictModes no\nPasswordAuthentication no\n\
             PermitRootLogin prohibit-password\nPidFile none\n",
            keys.display()
        );
        fs::write(keys.join("config"), config).unwrap();
        if nix::unistd::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), keys: keys.clone() };
        // Ends with the test's process; each `sshd` ends with its connection.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let socket = std::os::fd::OwnedFd::from(socket.unwrap());
                let log = fs::File::options().create(true).append(true).open(keys.join("log")).unwrap();
                let mut session = Command::new(sshd);
                session.arg("-i").arg("-e").arg("-f").arg(keys.join("config"));
                session.stdin(socket.try_clone().unwrap()).stdout(socket).stderr(log);
                std::thread::spawn(move || session.status().unwrap());
            }
        });
        Some(server)
    }

    /// Returns what opens it.
    pub(crate) fn login(&self) -> GitLogin {
        GitLogin {
            ssh_key_file: Some(self.keys.join("user")),
            ssh_passphrase_file: Some(self.keys.join("passphrase")),
            known_hosts_file: Some(self.known_hosts("host")),
            ..GitLogin::default()
        }
    }

    /// Returns the location of a repository there, for the user who runs the story.
    pub(crate) fn place(&self, repository: &Path) -> String {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        format!("git+ssh://{user}@{}{}", self.address, repository.display())
    }

    /// Writes a file that knows this server by one of the keys.
    pub(crate) fn known_hosts(&self, key: &str) -> PathBuf {
        let path = self.keys.join(format!("known-{key}"));
        let public = fs::read_to_string(self.keys.join(format!("{key}.pub"))).unwrap();
        fs::write(&path, format!("[127.0.0.1]:{} {public}", self.address.port())).unwrap();
        path
    }
}
