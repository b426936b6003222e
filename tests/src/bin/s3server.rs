//! `s3server ROOT ADDRESS KEY SECRET [CERTIFICATE PRIVATE-KEY]`: a real S3 server, which keeps buckets as folders of
//! ROOT and checks every signature; with two files in PEM form, by TLS. With the variable DOMAIN, a host name with the
//! port, each bucket has a name below it. It is the library s3s-fs with nothing added, as a program of its own so that
//! it can be killed. Prints nothing but why it ends.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::host::SingleDomain;
use s3s::service::S3ServiceBuilder;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (words, tls) = match words.as_slice() {
        [root, address, key, secret] => ([root, address, key, secret], None),
        [root, address, key, secret, certificate, private] => {
            ([root, address, key, secret], Some((certificate, private)))
        }
        _ => {
            eprintln!("usage: s3server ROOT ADDRESS KEY SECRET [CERTIFICATE PRIVATE-KEY]");
            return ExitCode::from(100);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| {
        let tls = tls.map(|(certificate, private)| acceptor(certificate, private)).transpose()?;
        runtime.block_on(serve(words, tls))
    });
    let Err(why) = ended else { return ExitCode::SUCCESS };
    eprintln!("s3server: {why}");
    ExitCode::from(111)
}

fn acceptor(certificate: &str, private: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let private = PrivateKeyDer::from_pem_file(private)?;
    let config =
        ServerConfig::builder_with_provider(ring::default_provider().into()).with_safe_default_protocol_versions()?;
    Ok(TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, private)?)))
}

async fn serve([root, address, key, secret]: [&String; 4], tls: Option<TlsAcceptor>) -> Result<(), Box<dyn Error>> {
    let files = s3s_fs::FileSystem::new(root).map_err(|why| format!("{root}: {why:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(key.clone(), secret.clone()));
    if let Ok(domain) = std::env::var("DOMAIN") {
        service.set_host(SingleDomain::new(&domain).map_err(|why| format!("{domain}: {why}"))?);
    }
    let service = service.build();
    let listener = TcpListener::bind(address).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let (service, tls) = (service.clone(), tls.clone());
        // Whoever breaks off is no reason to end.
        tokio::spawn(async move {
            let connections = Builder::new(TokioExecutor::new());
            match tls {
                Some(tls) => {
                    if let Ok(socket) = tls.accept(socket).await {
                        let _ = connections.serve_connection(TokioIo::new(socket), service).await;
                    }
                }
                None => drop(connections.serve_connection(TokioIo::new(socket), service).await),
            }
        });
    }
}
