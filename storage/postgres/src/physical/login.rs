//! Logging in: trust, a password in the clear, MD5 and SCRAM.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres::config::ChannelBinding as Wanted;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use super::PhysicalError;
use super::connection::{Connection, Frame, unexpected};
use crate::tls::TlsError;

/// Answers what the source asks, until it is ready for a command.
pub(super) fn log_in(
    connection: &mut Connection,
    user: &str,
    password: Option<&[u8]>,
) -> Result<(), PhysicalError> {
    let has_to_be_bound = connection.binding().0 == Wanted::Require;
    let mut is_bound = false;
    loop {
        let frame = connection.next()?;
        let is_weaker = matches!(
            frame,
            Frame::Message(
                Message::AuthenticationOk
                    | Message::AuthenticationCleartextPassword
                    | Message::AuthenticationMd5Password(_)
            )
        );
        if has_to_be_bound && !is_bound && is_weaker {
            return Err(unbound());
        }
        match frame {
            Frame::Message(Message::AuthenticationOk) => {}
            Frame::Message(Message::AuthenticationCleartextPassword) => {
                send_password(connection, wanted(password)?)?;
            }
            Frame::Message(Message::AuthenticationMd5Password(body)) => {
                let answer = md5_hash(user.as_bytes(), wanted(password)?, body.salt());
                send_password(connection, answer.as_bytes())?;
            }
            Frame::Message(Message::AuthenticationSasl(body)) => {
                is_bound = scram(connection, &body, wanted(password)?)?;
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
    password.ok_or_else(|| PhysicalError::Password { message: crate::load::NO_PASSWORD.into() })
}

fn send_password(connection: &mut Connection, password: &[u8]) -> Result<(), PhysicalError> {
    let mut message = BytesMut::new();
    frontend::password_message(password, &mut message)?;
    connection.send(&message)
}

fn unbound() -> PhysicalError {
    PhysicalError::Tls(TlsError::Handshake {
        message: "`channel_binding=require` asks for a login that is tied to the certificate, and the source has none".into(),
    })
}

/// Returns whether the login is tied to the server's certificate.
fn scram(
    connection: &mut Connection,
    offered: &AuthenticationSaslBody,
    password: &[u8],
) -> Result<bool, PhysicalError> {
    let is_offered = |wanted: &str| offered.mechanisms().any(|name| Ok(name == wanted)).unwrap_or(false);
    let (asked, digest) = connection.binding();
    let digest = digest.filter(|_| asked != Wanted::Disable);
    let (mechanism, binding) = match digest {
        Some(digest) if is_offered(SCRAM_SHA_256_PLUS) => {
            (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(digest))
        }
        // The server learns that it would have been taken, should somebody between have left the offer out.
        Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
    };
    let is_bound = mechanism == SCRAM_SHA_256_PLUS;
    if asked == Wanted::Require && !is_bound {
        return Err(unbound());
    }
    if !is_offered(mechanism) {
        return Err(PhysicalError::Password { message: "it asks for an unknown kind of SASL".into() });
    }
    let refused = |error: std::io::Error| PhysicalError::Password { message: error.to_string() };
    let mut scram = ScramSha256::new(password, binding);
    let mut message = BytesMut::new();
    frontend::sasl_initial_response(mechanism, scram.message(), &mut message)?;
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
    scram.finish(body.data()).map_err(refused)?;
    Ok(is_bound)
}
