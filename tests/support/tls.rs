//! TLS in front of a server of this machine, with a certificate that nobody vouches for unless they are told to.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use super::peers;

/// A certificate for `localhost`, and its key.
pub(crate) struct Identity {
    certificate: PathBuf,
    key: PathBuf,
}

impl Identity {
    /// Makes one in a folder. `None` means that the test has to end here, and that what it leaves out is already said.
    pub(crate) fn make(folder: &Path, what_is_skipped: &str) -> Option<Self> {
        let identity = Self { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]);
        let Ok(made) = openssl.arg(&identity.key).arg("-out").arg(&identity.certificate).output() else {
            peers::skip(what_is_skipped, "there is no openssl to make a certificate with");
            return None;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(identity)
    }

    /// Returns the certificate's file: whoever names it in `SSL_CERT_FILE` trusts it.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Puts encryption in front of a server, and returns the port.
    pub(crate) async fn terminate(&self, plain: SocketAddr) -> u16 {
        let certificates = CertificateDer::pem_file_iter(&self.certificate).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(&self.key).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(certificates.collect(), key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not like the certificate hangs up; that is one of the stories.
                    let Ok(mut near) = acceptor.accept(socket).await else { return };
                    let mut far = TcpStream::connect(plain).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        port
    }
}
