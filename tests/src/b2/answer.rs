//! What it answers to a whole request.

use super::wire::Request;
use super::{BUCKET, Fault, KEY, Object, REGION, State, is_segment};
use md5::{Digest, Md5};

/// An answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

fn refused(status: u16, code: &str, message: &str) -> Answer {
    refused_with(status, code, message, "")
}

fn refused_with(status: u16, code: &str, message: &str, more: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
    );
    Answer { status, body, ..Answer::default() }
}

pub(super) fn of(request: &Request, fault: Option<&Fault>, state: &mut State) -> Answer {
    if let Some(refusal) = stranger(request, state) {
        return refusal;
    }
    match (request.method.as_str(), request.key()) {
        ("PUT", "") if request.query.starts_with("lifecycle") => {
            state.rules = Some(String::from_utf8_lossy(&request.body).into_owned());
            Answer { status: 200, ..Answer::default() }
        }
        ("GET", "") if request.query.starts_with("lifecycle") => match &state.rules {
            Some(rules) => Answer { status: 200, body: rules.clone(), ..Answer::default() },
            None => refused(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        },
        ("PUT", _) => put(request, fault, state),
        ("HEAD", _) if state.blind => Answer { status: 403, ..Answer::default() },
        ("HEAD", key) => match state.objects.get(key) {
            Some(object) => Answer { status: 200, headers: vec![("ETag", etag(&object.content))], ..Answer::default() },
            None => Answer { status: 404, ..Answer::default() },
        },
        ("DELETE", key) => delete(key, request.version(), state),
        _ => refused(405, "MethodNotAllowed", "not in this storage"),
    }
}

/// By its name an object is hidden, which is a kind of writing; by its version it is deleted.
fn delete(key: &str, version: Option<&str>, state: &mut State) -> Answer {
    let gone = |headers| Answer { status: 204, headers, ..Answer::default() };
    match version {
        Some(_) if !state.may_delete => refused(403, "AccessDenied", "not entitled"),
        Some(version) => {
            if state.versions.remove(version).is_some() {
                state.objects.remove(key);
            }
            gone(Vec::new())
        }
        None if state.may_not_hide => refused(403, "AccessDenied", "not entitled"),
        None => {
            state.objects.remove(key);
            gone(vec![("x-amz-delete-marker", "true".into()), ("x-amz-version-id", "marker".into())])
        }
    }
}

/// Who may not come in.
fn stranger(request: &Request, state: &State) -> Option<Answer> {
    let bucket = request.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let authorization = request.header("authorization").unwrap_or_default();
    let scope = authorization.split("Credential=").nth(1).unwrap_or_default().split(',').next().unwrap_or_default();
    let mut scope = scope.split('/');
    let (key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
    if key != KEY {
        return Some(refused(403, "InvalidAccessKeyId", "The key is not valid"));
    }
    if region != REGION {
        let message = format!("The authorization header is malformed; the region '{region}' is wrong");
        return Some(refused_with(
            400,
            "AuthorizationHeaderMalformed",
            &message,
            &format!("<Region>{REGION}</Region>"),
        ));
    }
    (bucket != BUCKET || state.no_bucket).then(|| refused(404, "NoSuchBucket", "The specified bucket does not exist"))
}

fn put(request: &Request, fault: Option<&Fault>, state: &mut State) -> Answer {
    let unknown = |name: &&String| name.starts_with("x-amz-checksum") || *name == "x-amz-sdk-checksum-algorithm";
    if let Some(name) = request.headers.keys().find(unknown) {
        return refused(400, "InvalidArgument", &format!("Unsupported header '{name}' received for this API call."));
    }
    if request.header("content-encoding") == Some("aws-chunked") || request.headers.contains_key("x-amz-trailer") {
        return refused(400, "InvalidArgument", "Unsupported trailers");
    }
    let condition = request.header("if-none-match").is_some();
    if condition && !state.conditions {
        let message = "A header you provided implies functionality that is not implemented";
        return refused(501, "NotImplemented", message);
    }
    match fault {
        Some(Fault::Busy(seconds)) => {
            let busy = refused(503, "ServiceUnavailable", "no tomes available");
            return Answer { headers: vec![("Retry-After", seconds.to_string())], ..busy };
        }
        Some(Fault::Cap) => {
            return refused(403, "AccessDenied", "Cannot upload files, storage cap exceeded. cap_exceeded");
        }
        _ => {}
    }
    if condition && state.objects.contains_key(request.key()) {
        return refused(412, "PreconditionFailed", "At least one of the conditions did not hold");
    }
    let sum = data_encoding::BASE64.encode(&Md5::digest(&request.body));
    if request.header("content-md5").is_some_and(|told| told != sum) {
        return refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.");
    }
    keep(request, fault == Some(&Fault::Corrupt), state)
}

fn keep(request: &Request, corrupt: bool, state: &mut State) -> Answer {
    let mut content = request.body.clone();
    if let Some(byte) = content.first_mut().filter(|_| corrupt) {
        *byte ^= 1;
    }
    let version = format!("4_z{:06}", state.seen.len());
    state.versions.insert(version.clone(), request.key().to_owned());
    let headers = vec![("ETag", etag(&content)), ("x-amz-version-id", version)];
    *state.writes.entry(request.key().to_owned()).or_default() += 1;
    if state.objects.get(request.key()).is_some_and(|there| is_segment(request.key()) && there.content != content) {
        state.overwritten.push(request.key().to_owned());
    }
    state.objects.insert(request.key().to_owned(), Object { content, headers: request.headers.clone() });
    Answer { status: 200, headers, ..Answer::default() }
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", data_encoding::HEXLOWER.encode(&Md5::digest(content)))
}
