//! How a connection is made: who we are, what is kept for us, what is said if we die, whom we trust.

use crate::mqtt::config::Config;
use crate::mqtt::machine::{Publication, WINDOW};
use crate::mqtt::payload::{DEADLINE, MAX_COMMAND};
use rumqttc::{
    AckMode, Broker, ConnectProperties, LastWill, LastWillProperties, MqttOptions, NetworkOptions, PersistedAckMode,
    PersistedSession, QoS, SessionStore, SessionStoreError, SessionStoreKey, TlsConfiguration, Transport,
};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// So many seconds a broker keeps for us what comes while we are away: as long as a command is worth something if it does
/// not say so. With more, a machine that comes back would shut down because somebody wanted it to yesterday.
const SESSION: u32 = DEADLINE.as_secs() as u32;
/// So long after our end the broker says so: a restart is back before.
const WILL_DELAY: u32 = 5;
/// After so many seconds of silence we ask whether the broker is there; after twice as many it is not.
const KEEP_ALIVE: u16 = 30;
/// A broker's machine has to answer within so many seconds,
const REACHED: u64 = 5;
/// and the broker within so many: the difference tells which of the two is the matter.
const ANSWERED: Duration = Duration::from_secs(10);
/// The largest packet that we take, in bytes: a document of Home Assistant, and more than a command may have.
const LARGEST: u32 = 4 * MAX_COMMAND as u32;
/// So many commands may be unacknowledged at a time.
const RECEIVE: u16 = WINDOW as u16;
/// So many publications, if the broker lets us.
const SEND: u16 = WINDOW as u16;

/// The options of a new connection.
///
/// # Errors
/// A file cannot be read, or there is no certificate in it.
pub(super) fn options(config: &Config, will: &Publication) -> Result<MqttOptions, String> {
    let broker = Broker::tcp(config.broker.host.as_str(), config.broker.port);
    let mut options = MqttOptions::new(config.client_id.as_str(), broker);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(REACHED);
    options.set_network_options(network).set_connect_timeout(ANSWERED).set_keep_alive(KEEP_ALIVE);
    options.set_connect_properties(ConnectProperties {
        session_expiry_interval: Some(SESSION),
        receive_maximum: Some(RECEIVE),
        max_packet_size: Some(LARGEST),
        ..ConnectProperties::new()
    });
    options.set_clean_start(false).set_session_store(NothingWasUnderWay);
    options.set_ack_mode(AckMode::Manual).set_outgoing_inflight_upper_limit(SEND).set_last_will(last_will(will));
    if let Some(user) = &config.user {
        match config.password()? {
            Some(password) => options.set_credentials(user, password),
            None => options.set_username(user),
        };
    }
    if config.broker.tls {
        options.set_transport(Transport::Tls(trust(config)?));
    }
    Ok(options)
}

fn last_will(will: &Publication) -> LastWill {
    let properties = LastWillProperties {
        delay_interval: Some(WILL_DELAY),
        payload_format_indicator: Some(1),
        content_type: Some("application/json".into()),
        message_expiry_interval: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    LastWill::new(will.topic.as_str(), will.payload.as_slice(), QoS::AtLeastOnce, will.keep, Some(properties))
}

fn trust(config: &Config) -> Result<TlsConfiguration, String> {
    match config.authorities()? {
        Some(ca) => Ok(TlsConfiguration::Simple { ca, alpn: None, client_auth: None }),
        None => TlsConfiguration::try_default_rustls().map_err(|why| {
            format!(
                "the certificates of this system cannot be used ({why}); install ca-certificates, or give mqtt-ca-file"
            )
        }),
    }
}

/// What the library remembers from one run of a program to the next: nothing. Without it, it would not take up a session
/// that a broker has kept; with it, what was under way comes from the journal, which knows better.
#[derive(Debug)]
struct NothingWasUnderWay;

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SessionStoreError>> + Send + 'a>>;

impl SessionStore for NothingWasUnderWay {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Answer<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().into(),
            clean_start: false,
            session_expiry_interval: Some(SESSION),
            outgoing_inflight_upper_limit: Some(SEND),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
