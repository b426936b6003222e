//! The storage: everything that is asked of it, and what its answers mean. The only file that names the AWS SDK.
//!
//! Its defaults do not fit: it sends checksum headers that B2 refuses, its protection against stalled streams cries on slow lines and does not
//! see a server that swallows everything, and it has no time-out for an answer. It ignores `Retry-After`, so a refusal with one is not
//! tried again in here.

use crate::credentials::Key;
use crate::machine::Id;
use crate::pacer::{Paced, Pacer, Watch};
use crate::shaper::Class;
use crate::trouble::{self, Place, Refusal, Trouble};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// Attempts to ask something small. A segment is sent once: a second attempt would take what the first one left there for somebody else's, and
/// the queue tries again after it has looked.
const ATTEMPTS: u32 = 2;
/// What a line does that is not limited by us, in bytes a second, when it is asked how long it may take: the old uploader's.
const USUAL: u64 = 300 * 1024;
/// No small object is waited for longer.
const SMALL: Duration = Duration::from_secs(30);

/// Where and how.
#[derive(Debug, Clone)]
pub struct Way {
    /// Where.
    pub place: Place,
    /// `endpoint/bucket/key` instead of `bucket.endpoint/key`.
    pub path_style: bool,
    /// A certificate in PEM form to trust beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// How long nothing may move, beyond three times what the bytes need.
    pub patience: Duration,
}

/// The storage; clones are the same.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) client: Client,
    pub(crate) way: Arc<Way>,
}

/// A segment to be sent.
#[derive(Debug)]
pub struct Parcel {
    /// Where to.
    pub key: String,
    /// What.
    pub file: Arc<File>,
    /// Its size.
    pub bytes: u64,
    /// Its MD5.
    pub md5: [u8; 16],
    /// Which one.
    pub id: Id,
    /// How urgent it is.
    pub class: Class,
    /// What stands beside it, as names and values.
    pub remarks: Vec<(&'static str, String)>,
}

impl Store {
    /// Nothing is asked yet.
    pub fn new(way: Way, key: &Key) -> Store {
        let trust = TrustStore::default();
        let trust = match &way.ca {
            Some(pem) => trust.with_pem_certificate(pem.clone()),
            None => trust,
        };
        let context = TlsContext::builder().with_trust_store(trust).build().expect("a trust store is all it needs");
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context)
            .build_https();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http)
            .region(Region::new(way.place.region.clone()))
            .endpoint_url(way.place.endpoint.clone())
            .force_path_style(way.path_style)
            .credentials_provider(Credentials::new(key.id.clone(), key.secret.clone(), None, None, "file"))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .retry_classifier(Obedient);
        Store { client: Client::from_conf(config.build()), way: Arc::new(way) }
    }

    /// Sends a segment, once; gives the ETag. With `only_new`, an object that is there already is [`Trouble::Taken`].
    ///
    /// # Errors
    /// It is not there, or that is not known.
    pub async fn put(&self, parcel: &Parcel, pacer: &Pacer, only_new: bool) -> Result<String, Trouble> {
        let watch = Watch::start();
        let put = self
            .client
            .put_object()
            .bucket(&self.way.place.bucket)
            .key(&parcel.key)
            .content_length(parcel.bytes.cast_signed())
            .content_type("video/mp2t")
            .content_md5(data_encoding::BASE64.encode(&parcel.md5))
            .set_metadata(Some(parcel.remarks.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()))
            .set_if_none_match(only_new.then(|| "*".into()))
            .body(ByteStream::new(body(parcel, pacer, &watch)))
            .customize()
            .config_override(aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled()));
        let rate = pacer.limit().unwrap_or(USUAL).max(1);
        let most = Duration::from_secs_f64(parcel.bytes as f64 / rate as f64 * 3.0) + self.way.patience;
        tokio::select! {
            answer = put.send() => match answer {
                Ok(output) => Ok(output.e_tag.unwrap_or_default()),
                Err(why) => Err(self.trouble(&why)),
            },
            () = watch.overrun(most) => Err(self.silent(most)),
        }
    }

    /// Puts a small object there, in place of one that is there already; gives the ETag.
    ///
    /// # Errors
    /// It is not there, or that is not known.
    pub async fn put_small(&self, key: &str, content_type: &str, content: Vec<u8>) -> Result<String, Trouble> {
        let md5 = md5_of(&content);
        let put = self
            .client
            .put_object()
            .bucket(&self.way.place.bucket)
            .key(key)
            .content_type(content_type)
            .content_md5(data_encoding::BASE64.encode(&md5))
            .body(content.into())
            .send();
        let output = self.within(put).await?;
        Ok(output.e_tag.unwrap_or_default())
    }

    /// Puts a line of text there, unless something is there.
    ///
    /// # Errors
    /// [`Trouble::Taken`], or [`Trouble::NotImplemented`] if the storage does not know conditions.
    pub async fn put_new(&self, key: &str) -> Result<(), Trouble> {
        let put = self.client.put_object().bucket(&self.way.place.bucket).key(key).content_type("text/plain");
        let put = put.if_none_match("*").body(b"whether If-None-Match is known\n".to_vec().into());
        self.within(put.send()).await.map(drop)
    }

    /// The ETag of an object, if there is one.
    ///
    /// # Errors
    /// The key may not look, or no answer came.
    pub async fn look(&self, key: &str) -> Result<Option<String>, Trouble> {
        let head = self.client.head_object().bucket(&self.way.place.bucket).key(key).send();
        match tokio::time::timeout(self.way.patience.min(SMALL), head).await {
            Ok(Ok(output)) => Ok(Some(output.e_tag.unwrap_or_default())),
            Ok(Err(SdkError::ServiceError(why))) if why.raw().status().as_u16() == 404 => Ok(None),
            Ok(Err(why)) => Err(self.trouble(&why)),
            Err(_) => Err(self.silent(self.way.patience.min(SMALL))),
        }
    }

    /// The answer to something small.
    pub(crate) async fn within<T, E>(
        &self,
        asked: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Trouble>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let most = self.way.patience.min(SMALL);
        match tokio::time::timeout(most, asked).await {
            Ok(answer) => answer.map_err(|why| self.trouble(&why)),
            Err(_) => Err(self.silent(most)),
        }
    }

    fn silent(&self, most: Duration) -> Trouble {
        trouble::unanswered(&format!("no answer within {:.0} s", most.as_secs_f64()), &self.way.place)
    }

    fn trouble<E>(&self, why: &SdkError<E, HttpResponse>) -> Trouble
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let place = &self.way.place;
        match (why, why.raw_response()) {
            (SdkError::ServiceError(error), _) => {
                let (code, message) = (error.err().code(), error.err().message());
                trouble::of(&refusal(error.raw(), code, message), place)
            }
            (_, Some(raw)) if !raw.status().is_success() => trouble::of(&refusal(raw, None, None), place),
            _ => trouble::unanswered(&innermost(why), place),
        }
    }
}

/// The last cause is the one that says something: `Connection refused`, and not `dispatch failure`.
fn innermost<E: std::error::Error>(why: &E) -> String {
    let whole = format!("{}", DisplayErrorContext(why));
    let mut source = why.source();
    let mut last = String::new();
    while let Some(why) = source {
        last = why.to_string();
        source = why.source();
    }
    if last.is_empty() { whole } else { last }
}

fn refusal(raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Refusal {
    let header = |name: &str| raw.headers().get(name).map(str::to_owned);
    Refusal {
        status: raw.status().as_u16(),
        code: code.unwrap_or_default().into(),
        message: message.unwrap_or_default().into(),
        retry_after: header("retry-after").and_then(|text| text.trim().parse().ok()),
        region: header("x-amz-bucket-region").or_else(|| region_in(raw.body().bytes().unwrap_or_default())),
    }
}

/// Servers that have no header for it say it in the text of the refusal.
fn region_in(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Region>")?;
    rest.split_once("</Region>").map(|(region, _)| region.to_owned())
}

fn body(parcel: &Parcel, pacer: &Pacer, watch: &Arc<Watch>) -> SdkBody {
    let (file, camera) = (parcel.file.clone(), parcel.id.camera.as_str().into());
    SdkBody::from_body_1_x(Paced::new(file, parcel.bytes, camera, parcel.class, pacer.clone(), watch.clone()))
}

/// The MD5 of a text in memory.
pub fn md5_of(content: &[u8]) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(content).into()
}

/// A server that says when to come again is not asked before.
#[derive(Debug)]
struct Obedient;

impl ClassifyRetry for Obedient {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let told = context.response().is_some_and(|response| response.headers().get("retry-after").is_some());
        if told { RetryAction::RetryForbidden } else { RetryAction::NoActionIndicated }
    }

    fn name(&self) -> &'static str {
        "Retry-After"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_in_a_text_is_found() {
        let text = b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-004</Region></Error>";
        assert_eq!(region_in(text).as_deref(), Some("us-west-004"));
        assert_eq!(region_in(b"<Region>x"), None);
        assert_eq!(region_in(b"\xff"), None);
    }
}
