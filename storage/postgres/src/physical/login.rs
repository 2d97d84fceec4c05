//! Logging in: trust, a password in the clear, MD5 and SCRAM.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use super::PhysicalError;
use super::connection::{Connection, Frame, unexpected};

/// Answers what the source asks, until it is ready for a command.
pub(super) fn log_in(
    connection: &mut Connection,
    user: &str,
    password: Option<&[u8]>,
) -> Result<(), PhysicalError> {
    loop {
        match connection.next()? {
            Frame::Message(Message::AuthenticationOk) => {}
            Frame::Message(Message::AuthenticationCleartextPassword) => {
                send_password(connection, wanted(password)?)?;
            }
            Frame::Message(Message::AuthenticationMd5Password(body)) => {
                let answer = md5_hash(user.as_bytes(), wanted(password)?, body.salt());
                send_password(connection, answer.as_bytes())?;
            }
            Frame::Message(Message::AuthenticationSasl(body)) => {
                scram(connection, &body, wanted(password)?)?;
            }
            Frame::Message(Message::BackendKeyData(body)) => {
                connection.set_key(body.process_id(), body.secret_key());
            }
            Frame::Message(Message::ReadyForQuery(_)) => return Ok(()),
            Frame::Message(
                Message::AuthenticationGss | Message::AuthenticationSspi | Message::AuthenticationKerberosV5,
            ) => {
                let message = "it asks for a kind of login that is no password".to_owned();
                return Err(PhysicalError::Password { message });
            }
            _ => return Err(unexpected("something else than a login")),
        }
    }
}

fn wanted(password: Option<&[u8]>) -> Result<&[u8], PhysicalError> {
    password.ok_or_else(|| PhysicalError::Password {
        message: "it asks for a password, and the URL has none".into(),
    })
}

fn send_password(connection: &mut Connection, password: &[u8]) -> Result<(), PhysicalError> {
    let mut message = BytesMut::new();
    frontend::password_message(password, &mut message)?;
    connection.send(&message)
}

fn scram(
    connection: &mut Connection,
    offered: &AuthenticationSaslBody,
    password: &[u8],
) -> Result<(), PhysicalError> {
    let is_offered = offered.mechanisms().any(|name| Ok(name == SCRAM_SHA_256)).unwrap_or(false);
    if !is_offered {
        return Err(PhysicalError::Password { message: "it asks for an unknown kind of SASL".into() });
    }
    let refused = |error: std::io::Error| PhysicalError::Password { message: error.to_string() };
    let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
    let mut message = BytesMut::new();
    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut message)?;
    connection.send(&message)?;
    let Frame::Message(Message::AuthenticationSaslContinue(body)) = connection.next()? else {
        return Err(unexpected("something else than a login"));
    };
    scram.update(body.data()).map_err(refused)?;
    let mut message = BytesMut::new();
    frontend::sasl_response(scram.message(), &mut message)?;
    connection.send(&message)?;
    let Frame::Message(Message::AuthenticationSaslFinal(body)) = connection.next()? else {
        return Err(unexpected("something else than a login"));
    };
    // The source has to prove that it knows the password too.
    scram.finish(body.data()).map_err(refused)
}
