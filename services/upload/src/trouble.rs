//! What went wrong, and what follows from it. A server that is busy or away is tried again; a setting or an account that is not in order
//! is nobody's to mend but the owner's, so everything pauses; what is the matter with one segment holds up no other. Sources: the error
//! codes of Amazon S3, and what Backblaze B2 answers, which is the server of the house.

use std::time::Duration;

/// Nobody is waited for longer, whatever his `Retry-After` says.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// What a server answered that is no success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code, as in `NoSuchBucket`; empty if there is none.
    pub code: String,
    /// The server's words.
    pub message: String,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The region that the server says the bucket is in.
    pub region: Option<String>,
}

/// Where we want to go, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As in `https://s3.ca-east-006.backblazeb2.com`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The file with the key.
    pub credentials: String,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server is away or busy: later, and at the earliest then.
    Server {
        /// What is the matter.
        why: String,
        /// What it asked for.
        wait: Option<Duration>,
        /// It may have kept what it was sent all the same.
        in_doubt: bool,
    },
    /// Nothing will work before somebody does something.
    Setup {
        /// In one word; what has the same cause is told once, whatever the server's words are.
        cause: &'static str,
        /// What is the matter, and the remedy.
        why: String,
    },
    /// It is about this one object.
    Object {
        /// What is the matter.
        why: String,
    },
    /// What the storage has kept is not what was sent.
    Wrong {
        /// What is the matter.
        why: String,
    },
    /// There is an object of this name already.
    Taken,
    /// The server does not know what it was asked for.
    NotImplemented,
}

impl Trouble {
    /// In words.
    pub fn why(&self) -> &str {
        match self {
            Trouble::Server { why, .. }
            | Trouble::Setup { why, .. }
            | Trouble::Object { why }
            | Trouble::Wrong { why } => why,
            Trouble::Taken => "an object of this name is there already",
            Trouble::NotImplemented => "the storage does not know such a request",
        }
    }
}

/// What a refusal means.
pub fn of(refusal: &Refusal, place: &Place) -> Trouble {
    let Refusal { status, code, .. } = refusal;
    let setup = |cause, why| Trouble::Setup { cause, why };
    match (*status, code.as_str()) {
        (412, _) => Trouble::Taken,
        (501, _) | (_, "NotImplemented") => Trouble::NotImplemented,
        (_, "NoSuchBucket") => setup("bucket", no_bucket(place)),
        (_, "RequestTimeTooSkewed") => setup("clock", clock_off(place)),
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurity" | "ExpiredToken" | "InvalidToken") => {
            setup("key", bad_key(refusal, place))
        }
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect") => {
            setup("region", bad_region(refusal, place))
        }
        (403, _) if is_cap(refusal) => setup("cap", cap(refusal)),
        (401 | 403, _) => setup("rights", denied(refusal, place)),
        (500.. | 408 | 409 | 429, _) | (_, "SlowDown" | "RequestTimeout" | "Throttling") => {
            let wait = refusal.retry_after.map(|seconds| Duration::from_secs(seconds).min(LONGEST));
            // These may come from somebody in between, or from a server that fell over its own answer.
            let in_doubt = matches!(status, 500 | 502 | 504);
            Trouble::Server { why: format!("{} answers {}", place.endpoint, words(refusal)), wait, in_doubt }
        }
        _ => Trouble::Object { why: format!("{} answers {}", place.endpoint, words(refusal)) },
    }
}

/// No answer came.
pub fn unanswered(why: &str, place: &Place) -> Trouble {
    Trouble::Server { why: format!("{}: {why}", place.endpoint), wait: None, in_doubt: true }
}

fn is_cap(refusal: &Refusal) -> bool {
    let all = format!("{} {}", refusal.code, refusal.message).to_ascii_lowercase();
    all.contains("cap_exceeded") || all.contains("cap exceeded") || all.contains("capexceeded")
}

fn cap(refusal: &Refusal) -> String {
    format!(
        "the account's cap is reached ({}); raise it in the web interface of the storage (Caps & Alerts at Backblaze)",
        words(refusal)
    )
}

fn clock_off(place: &Place) -> String {
    format!(
        "{} says that our clock is wrong; set it, or have a time server set it (timedatectl set-ntp true)",
        place.endpoint
    )
}

fn no_bucket(place: &Place) -> String {
    format!(
        "there is no bucket `{}` at {}; create it there, or set BUCKET, ENDPOINT and REGION to where it is",
        place.bucket, place.endpoint
    )
}

fn bad_key(refusal: &Refusal, place: &Place) -> String {
    format!(
        "{} does not accept the key in {} ({}); put a key for bucket `{}` there, both its id and its secret",
        place.endpoint,
        place.credentials,
        words(refusal),
        place.bucket
    )
}

fn bad_region(refusal: &Refusal, place: &Place) -> String {
    let told = refusal.region.as_ref().map(|region| format!("`{region}`"));
    let there = told.clone().unwrap_or_else(|| "another region".into());
    let set = told.unwrap_or_else(|| "the one that the storage shows beside the bucket".into());
    format!(
        "bucket `{}` is not in region `{}` but in {there}; set REGION to {set}, and ENDPOINT to go with it",
        place.bucket, place.region
    )
}

fn denied(refusal: &Refusal, place: &Place) -> String {
    format!(
        "{} does not let the key in {} write to bucket `{}` ({}); give it that right (writeFiles at Backblaze), \
         and do not use the master key",
        place.endpoint,
        place.credentials,
        place.bucket,
        words(refusal)
    )
}

/// Status, code and the server's words, in one line that is not too long.
fn words(refusal: &Refusal) -> String {
    let message: String = refusal.message.chars().take(200).collect();
    let parts = [refusal.status.to_string(), refusal.code.clone(), message];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            endpoint: "https://s3.example".into(),
            region: "ca-east-006".into(),
            bucket: "visd-cctv".into(),
            credentials: "/etc/pistop/upload.credentials".into(),
        }
    }

    fn refused(status: u16, code: &str, message: &str) -> Trouble {
        of(&Refusal { status, code: code.into(), message: message.into(), ..Refusal::default() }, &place())
    }

    #[test]
    fn what_the_owner_has_to_mend_names_the_remedy() {
        for (status, code, message, remedy) in [
            (404, "NoSuchBucket", "", "no bucket `visd-cctv` at https://s3.example; create it there"),
            (403, "InvalidAccessKeyId", "malformed", "put a key for bucket `visd-cctv` there"),
            (403, "SignatureDoesNotMatch", "", "does not accept the key in /etc/pistop/upload.credentials"),
            (401, "", "", "give it that right"),
            (403, "AccessDenied", "not entitled", "do not use the master key"),
            (403, "AccessDenied", "Transaction cap exceeded", "raise it in the web interface"),
            (403, "cap_exceeded", "", "raise it in the web interface"),
            (403, "RequestTimeTooSkewed", "", "our clock is wrong"),
            (301, "PermanentRedirect", "", "set REGION to the one that the storage shows"),
        ] {
            let trouble = refused(status, code, message);
            assert!(matches!(&trouble, Trouble::Setup { why, .. } if why.contains(remedy)), "{trouble:?}");
        }
    }

    #[test]
    fn the_right_region_is_named_if_the_server_knows_it() {
        let (status, code) = (400, "AuthorizationHeaderMalformed".into());
        let refusal = Refusal { status, code, region: Some("us-west-004".into()), ..Refusal::default() };
        let why = of(&refusal, &place());
        assert!(why.why().contains("is not in region `ca-east-006` but in `us-west-004`; set REGION to `us-west-004`"));
    }

    #[test]
    fn a_server_that_is_busy_says_how_long() {
        let refusal = Refusal { status: 503, code: "SlowDown".into(), retry_after: Some(7), ..Refusal::default() };
        let wait = Some(Duration::from_secs(7));
        let why = "https://s3.example answers 503 SlowDown".into();
        assert_eq!(of(&refusal, &place()), Trouble::Server { why, wait, in_doubt: false });
        let Trouble::Server { wait, .. } = of(&Refusal { retry_after: Some(u64::MAX), ..refusal }, &place()) else {
            panic!("the same")
        };
        assert_eq!(wait, Some(LONGEST));
        assert!(matches!(refused(500, "", ""), Trouble::Server { wait: None, .. }));
        assert!(matches!(refused(429, "", ""), Trouble::Server { .. }));
        assert!(matches!(refused(400, "RequestTimeout", ""), Trouble::Server { .. }));
    }

    #[test]
    fn what_is_told_once_is_a_cause_and_not_the_servers_words() {
        let cause = |trouble| if let Trouble::Setup { cause, .. } = trouble { cause } else { "" };
        let about = |key: &str| refused(403, "AccessDenied", &format!("not authorized on {key}"));
        assert_eq!(cause(about("cam1/1.ts")), cause(about("cam1/2.ts")));
        assert_ne!(about("cam1/1.ts"), about("cam1/2.ts"), "the words differ");
        assert_ne!(cause(about("cam1/1.ts")), cause(refused(404, "NoSuchBucket", "")));
    }

    #[test]
    fn a_conflict_is_the_servers_trouble_and_nothing_was_kept() {
        let conflict = refused(409, "ConditionalRequestConflict", "");
        assert!(matches!(conflict, Trouble::Server { in_doubt: false, .. }), "{conflict:?}");
        assert!(matches!(refused(503, "SlowDown", ""), Trouble::Server { in_doubt: false, .. }));
        assert!(matches!(refused(500, "InternalError", ""), Trouble::Server { in_doubt: true, .. }));
        assert!(matches!(unanswered("reset", &place()), Trouble::Server { in_doubt: true, .. }));
    }

    #[test]
    fn the_rest_is_about_the_object() {
        assert_eq!(refused(412, "PreconditionFailed", ""), Trouble::Taken);
        assert_eq!(refused(501, "NotImplemented", ""), Trouble::NotImplemented);
        assert!(matches!(refused(400, "BadDigest", "x"), Trouble::Object { why } if why.ends_with("400 BadDigest x")));
        assert!(matches!(refused(404, "", ""), Trouble::Object { .. }));
    }
}
