//! `upload doctor`: tries what an upload needs, and says what is wrong and what helps. It leaves one small object, [`PROBE`], in the bucket, if
//! the key cannot delete it, which is as it should be. Where versions are kept, a deletion by name only hides, for which Backblaze lets every key that may
//! write; so the very version that was written is what it tries to delete first.
//!
//! | module | what it does |
//! |---|---|
//! | this one | looking |
//! | [`findings`] | what follows from it, and how it is said. Pure |

pub mod findings;

use crate::config::{Config, DoctorFlags};
use crate::store::{Store, md5_of};
use crate::trouble::Trouble;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    NoncurrentVersionExpiration,
};
use data_encoding::HEXLOWER;
use findings::{Deletion, Expiry, Seen};
use jiff::Timestamp;
use runner::exit::Failure;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The object that is written to see whether that works.
pub const PROBE: &str = "pistop/doctor.txt";
/// Days after which the house's recordings go.
pub const KEPT_DAYS: i32 = 3;
/// Days for which what is gone, or was hidden, is kept as a version.
pub const HIDDEN_DAYS: i32 = 1;

/// Looks, and says what was found.
///
/// # Errors
/// There are problems.
pub async fn run(config: &Config, flags: &DoctorFlags) -> Result<(), Failure> {
    let seen = look(config, flags).await;
    let findings = findings::of(&seen);
    let text = match flags.json {
        true => format!("{}\n", findings::json(&seen, &findings)),
        false => findings::people(&seen, &findings),
    };
    let told = std::io::stdout().write_all(text.as_bytes());
    told.map_err(|why| Failure::Temporary(format!("standard output: {why}")))?;
    runner::check::verdict(findings.iter().filter(|finding| finding.is_problem).count())
}

async fn look(config: &Config, flags: &DoctorFlags) -> Seen {
    let mut seen = Seen {
        place: config.way.place.clone(),
        segments: waiting(config),
        key: Ok(()),
        write: None,
        versions: false,
        delete: None,
        set_rules: None,
        rules: None,
        ahead_s: None,
    };
    let store = match config.store() {
        Ok(store) => store,
        Err(why) => {
            seen.key = Err(why);
            return seen;
        }
    };
    let (write, ahead_s) = write(&store).await;
    seen.ahead_s = ahead_s;
    let version = match write {
        Ok(version) => version,
        Err(trouble) => {
            seen.write = Some(Err(trouble));
            return seen;
        }
    };
    seen.write = Some(Ok(()));
    seen.delete = Some(delete(&store, version.as_deref()).await);
    seen.versions = version.is_some() || matches!(seen.delete, Some(Ok(Deletion::Hides)));
    if flags.set_lifecycle {
        seen.set_rules = Some(set_rules(&store).await);
    }
    seen.rules = Some(rules(&store).await);
    seen
}

/// Segments that wait; none before there was a recorder.
fn waiting(config: &Config) -> Result<Option<u64>, String> {
    let why = |why: std::io::Error| format!("{}: {why}", config.ram_dir.display());
    if !config.ram_dir.exists() {
        return Ok(None);
    }
    let sight = crate::watch::look(&config.ram_dir).map_err(why)?;
    match sight.unread.is_empty() {
        true => Ok(Some(sight.items.len() as u64)),
        false => Err(sight.unread.join(", ")),
    }
}

/// Writes the probe, checks its ETag, and compares the clocks. Gives the version that was written, where versions are kept.
async fn write(store: &Store) -> (Result<Option<String>, Trouble>, Option<i64>) {
    let content = format!("upload doctor was here at {}\n", Timestamp::now()).into_bytes();
    let (md5, date) = (HEXLOWER.encode(&md5_of(&content)), DateHeader::default());
    let put = store.client.put_object().bucket(&store.way.place.bucket).key(PROBE).content_type("text/plain");
    let put = put.body(content.into()).customize().interceptor(date.clone()).send();
    let written = store.within(put).await.and_then(|output| match output.e_tag.clone().unwrap_or_default() {
        etag if etag.trim_matches('"') == md5 => Ok(output.version_id.filter(|version| version != "null")),
        etag => Err(Trouble::Object {
            why: format!("the bucket answers with ETag {etag} and not with the MD5; turn SSE-KMS encryption off"),
        }),
    });
    (written, date.ahead_s())
}

/// What the key may take away: the version that it wrote, or, where that is refused, its name.
async fn delete(store: &Store, version: Option<&str>) -> Result<Deletion, Trouble> {
    let asked = || store.client.delete_object().bucket(&store.way.place.bucket).key(PROBE);
    if let Some(version) = version {
        match store.within(asked().version_id(version).send()).await {
            Ok(_) => return Ok(Deletion::Deletes),
            Err(Trouble::Setup { .. }) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    match store.within(asked().send()).await {
        Ok(output) if version.is_some() || output.delete_marker == Some(true) => Ok(Deletion::Hides),
        Ok(_) => Ok(Deletion::Deletes),
        Err(Trouble::Setup { .. }) => Ok(Deletion::Refused),
        Err(trouble) => Err(trouble),
    }
}

async fn rules(store: &Store) -> Result<Vec<Expiry>, Trouble> {
    let asked = store.client.get_bucket_lifecycle_configuration().bucket(&store.way.place.bucket).send();
    let none = |why: &SdkError<_, _>| {
        let code = why.as_service_error().and_then(ProvideErrorMetadata::code);
        code == Some("NoSuchLifecycleConfiguration")
    };
    let asked = async {
        match asked.await {
            Err(why) if none(&why) => Ok(Vec::new()),
            answer => answer.map(|output| output.rules.unwrap_or_default()),
        }
    };
    Ok(store.within(asked).await?.iter().filter_map(expiry).collect())
}

/// What a rule does to everything in the bucket.
fn expiry(rule: &LifecycleRule) -> Option<Expiry> {
    #[expect(deprecated, reason = "servers still answer with it")]
    let prefix = rule.prefix().or_else(|| rule.filter().and_then(LifecycleRuleFilter::prefix)).unwrap_or_default();
    if !prefix.is_empty() || *rule.status() != ExpirationStatus::Enabled {
        return None;
    }
    let hidden_after = rule.expiration().and_then(LifecycleExpiration::days);
    let old = rule.noncurrent_version_expiration();
    let deleted_after = old.and_then(NoncurrentVersionExpiration::noncurrent_days);
    (hidden_after.is_some() || deleted_after.is_some()).then_some(Expiry { hidden_after, deleted_after })
}

/// Backblaze takes a deletion after so many days as two steps: it hides, and a day later deletes.
async fn set_rules(store: &Store) -> Result<(), Trouble> {
    let rule = LifecycleRule::builder()
        .id("recordings-go-after-3-days")
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .status(ExpirationStatus::Enabled)
        .expiration(LifecycleExpiration::builder().days(KEPT_DAYS).build())
        .noncurrent_version_expiration(NoncurrentVersionExpiration::builder().noncurrent_days(HIDDEN_DAYS).build());
    let incomplete = |why: aws_sdk_s3::error::BuildError| Trouble::Object { why: why.to_string() };
    let rules = BucketLifecycleConfiguration::builder().rules(rule.build().map_err(incomplete)?);
    let rules = rules.build().map_err(incomplete)?;
    let put = store.client.put_bucket_lifecycle_configuration().bucket(&store.way.place.bucket);
    store.within(put.lifecycle_configuration(rules).send()).await.map(drop)
}

/// Keeps the server's time of day.
#[derive(Debug, Clone, Default)]
struct DateHeader(Arc<Mutex<Option<(String, Timestamp)>>>);

impl DateHeader {
    /// Seconds that our clock is ahead of the server's, if it said what time it has.
    fn ahead_s(&self) -> Option<i64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (text, here) = seen?;
        let there = jiff::fmt::rfc2822::parse(&text).ok()?;
        Some(here.as_second() - there.timestamp().as_second())
    }
}

impl Intercept for DateHeader {
    fn name(&self) -> &'static str {
        "the server's clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((date.into(), Timestamp::now()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_date_is_compared_with_our_clock() {
        let date = DateHeader::default();
        assert_eq!(date.ahead_s(), None);
        let here = Timestamp::from_second(1_795_658_100).unwrap();
        *date.0.lock().unwrap() = Some(("Thu, 26 Nov 2026 01:54:00 GMT".into(), here));
        assert_eq!(date.ahead_s(), Some(60));
        *date.0.lock().unwrap() = Some(("yesterday".into(), here));
        assert_eq!(date.ahead_s(), None);
    }
}
