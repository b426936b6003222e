//! What the library says, in our words: with the remedy where somebody can do something.

use crate::mqtt::config::Config;
use crate::mqtt::machine::{Greeting, Message, Trouble, Verdict};
use crate::mqtt::topic::VERSION;
use rumqttc::{
    ConnAck, ConnectReturnCode, ConnectionError, DisconnectReasonCode, PubAckReason, Publish, PublishNoticeError,
    PublishResult, StateError, SubAck, SubscribeReasonCode,
};
use std::io::ErrorKind;

/// What a broker says of itself.
pub(super) fn greeting(answer: &ConnAck) -> Greeting {
    let properties = answer.properties.as_ref();
    Greeting {
        resumed: answer.session_present,
        largest: properties.and_then(|properties| properties.max_packet_size),
        keeps: properties.and_then(|properties| properties.retain_available) != Some(0),
    }
}

/// A message from somebody else.
pub(super) fn message(publish: &Publish, token: u64) -> Message {
    let properties = publish.properties.clone().unwrap_or_default();
    Message {
        token,
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        retained: publish.retain,
        again: publish.dup,
        packet: publish.pkid,
        expires: properties.message_expiry_interval,
        response: properties.response_topic,
        correlation: properties.correlation_data.map(|data| data.to_vec()),
    }
}

/// What became of a publication; nothing if the connection has ended, which is told by itself.
pub(super) fn verdict(answer: Result<PublishResult, PublishNoticeError>) -> Option<Verdict> {
    let reason = match answer {
        Ok(PublishResult::Qos1(answer)) => answer.reason,
        Err(PublishNoticeError::Recv | PublishNoticeError::SessionReset) => return None,
        // Asked for once and answered otherwise, or not sent: to be sent again.
        Ok(_) | Err(_) => return Some(Verdict::Later),
    };
    Some(match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Verdict::Taken,
        PubAckReason::NotAuthorized => {
            Verdict::Never("the broker does not let us publish there; give our user the right to".into())
        }
        PubAckReason::TopicNameInvalid | PubAckReason::PayloadFormatInvalid => {
            Verdict::Never(format!("the broker does not take it ({reason:?})"))
        }
        PubAckReason::UnspecifiedError | PubAckReason::ImplementationSpecificError => {
            Verdict::Unclear(format!("the broker does not take it ({reason:?}); its log may say why"))
        }
        PubAckReason::PacketIdentifierInUse | PubAckReason::QuotaExceeded => Verdict::Later,
    })
}

/// What a broker does not let us subscribe to; that it keeps its version to itself is its right.
pub(super) fn refused(names: &[String], answer: &SubAck) -> Vec<String> {
    let each = names.iter().zip(&answer.return_codes);
    let each = each.filter(|(name, _)| *name != VERSION);
    let refused = each.filter(|(_, code)| !matches!(code, SubscribeReasonCode::Success(_)));
    refused
        .map(|(name, code)| {
            format!("the broker does not let us subscribe to {name} ({code:?}); give our user the right to")
        })
        .collect()
}

/// Why a connection ended or could not be made.
pub(super) fn trouble(why: &ConnectionError, config: &Config) -> Trouble {
    match why {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            farewell(*reason_code, reason_string.as_deref())
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) | ConnectionError::RequestsDone => Trouble::Closed,
        _ => Trouble::Other(words(why, config)),
    }
}

fn farewell(code: DisconnectReasonCode, words: Option<&str>) -> Trouble {
    match code {
        DisconnectReasonCode::SessionTakenOver => Trouble::Taken,
        code => Trouble::Other(format!("the broker ended the connection ({code:?}) {}", words.unwrap_or_default())),
    }
}

fn words(why: &ConnectionError, config: &Config) -> String {
    let broker = &config.broker;
    match why {
        ConnectionError::Timeout(_) => {
            format!("{broker} accepts connections and does not answer; is this port that of an MQTT broker?")
        }
        ConnectionError::Io(why) if why.kind() == ErrorKind::TimedOut => {
            format!("{broker} does not answer; is that machine on?")
        }
        ConnectionError::Io(why) if why.kind() == ErrorKind::ConnectionRefused => {
            format!("nothing listens at {broker}; start the broker, or mend the setting `mqtt`")
        }
        ConnectionError::ConnectionRefused(code) => refusal(*code, config),
        ConnectionError::NotConnAck(_) => format!("{broker} is no MQTT 5 broker"),
        ConnectionError::Tls(why) => format!(
            "{broker} cannot be trusted ({why}); its certificate has to bear its name, and mqtt-ca-file has to name who signed it"
        ),
        ConnectionError::MqttState(StateError::AwaitPingResp) => format!("{broker} has fallen silent"),
        other => format!("{broker}: {other}"),
    }
}

fn refusal(code: ConnectReturnCode, config: &Config) -> String {
    let broker = &config.broker;
    match code {
        ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
            let user = config.user.as_deref().unwrap_or("nobody");
            format!("{broker} does not let {user} in; look after mqtt-user and mqtt-password-file")
        }
        ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
            format!("{broker} does not speak MQTT 5; take a newer one, such as mosquitto 2")
        }
        ConnectReturnCode::BadClientId | ConnectReturnCode::ClientIdentifierNotValid => {
            format!("{broker} does not take our client id {}; give another as mqtt-client-id", config.client_id)
        }
        code => format!("{broker} refuses us ({code:?}); its log may say why"),
    }
}
