//! supervisord's XML-RPC over its Unix socket.

use cid_protocol::fault::Fault;
use dxr::{FaultResponse, MethodCall, MethodResponse, TryFromValue, TryToParams};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use std::{path::PathBuf, time::Duration};
use tokio::net::UnixStream;

/// `reloadConfig` with 1,000 programs takes 2 s.
const LIMIT: Duration = Duration::from_secs(5);
/// A process takes about 2 KiB in an answer.
const ANSWER_LIMIT: usize = 32 * 1024 * 1024;

/// The fault codes of supervisord that are told apart.
pub(crate) mod code {
    pub(crate) const UNKNOWN_METHOD: i32 = 1;
    pub(crate) const SHUTDOWN_STATE: i32 = 6;
    pub(crate) const BAD_NAME: i32 = 10;
    pub(crate) const ALREADY_STARTED: i32 = 60;
    pub(crate) const NOT_RUNNING: i32 = 70;
    pub(crate) const ALREADY_ADDED: i32 = 90;
    pub(crate) const STILL_RUNNING: i32 = 91;
    pub(crate) const CANT_REREAD: i32 = 92;
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    /// No answer, none in time, or an answer that makes no sense.
    #[error("{0}")]
    Unreachable(String),
    /// supervisord refuses.
    #[error("{text} (fault {code})")]
    Refused { code: i32, text: String },
}

impl RpcError {
    /// Whether supervisord refuses with this code.
    pub(crate) fn is(&self, wanted: i32) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }

    /// The fault of a call that was to `verb` something.
    pub(crate) fn fault(&self, verb: impl std::fmt::Display) -> Fault {
        match self {
            Self::Unreachable(why) => {
                Fault::new(format!("cannot {verb}: supervisord does not answer: {why}"))
                    .hint("see whether supervisord runs, and its log")
            }
            Self::Refused { .. } => Fault::new(format!("cannot {verb}: supervisord says: {self}")),
        }
    }
}

/// A supervisord, by its socket.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    socket: PathBuf,
}

impl Rpc {
    /// The supervisord that listens, or will listen, on this socket.
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Calls a method of the `supervisor` namespace.
    pub(crate) async fn call<T: TryFromValue>(
        &self,
        method: &str,
        params: impl TryToParams + Send,
    ) -> Result<T, RpcError> {
        self.call_in("supervisor", method, params).await
    }

    /// Calls a method of cid's own part of supervisord.
    pub(super) async fn call_own<T: TryFromValue>(
        &self,
        method: &str,
        params: impl TryToParams + Send,
    ) -> Result<T, RpcError> {
        self.call_in("cid", method, params).await
    }

    async fn call_in<T: TryFromValue>(
        &self,
        namespace: &str,
        method: &str,
        params: impl TryToParams + Send,
    ) -> Result<T, RpcError> {
        let params = params
            .try_to_params()
            .map_err(|error| unreachable(&error))?;
        let call = MethodCall {
            name: format!("{namespace}.{method}").into(),
            params,
        };
        let call = call.to_xml().map_err(|error| unreachable(&error))?;
        let answer = tokio::time::timeout(LIMIT, self.exchange(call))
            .await
            .map_err(|_| {
                RpcError::Unreachable(format!(
                    "no answer to {method} within {} s",
                    LIMIT.as_secs()
                ))
            })??;
        if let Ok(response) = MethodResponse::from_xml(&answer) {
            return T::try_from_value(&response.value).map_err(|error| unreachable(&error));
        }
        let fault = FaultResponse::from_xml(&answer)
            .map_err(|_| RpcError::Unreachable(format!("its answer to {method} is no XML-RPC")))?
            .fault;
        match fault.code() {
            code::SHUTDOWN_STATE => Err(RpcError::Unreachable("it is shutting down".into())),
            code => Err(RpcError::Refused {
                code,
                text: fault.string().to_owned(),
            }),
        }
    }

    async fn exchange(&self, call: String) -> Result<String, RpcError> {
        #[expect(clippy::disallowed_methods, reason = "supervisord's own socket")]
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| {
            RpcError::Unreachable(format!("{}: {error}", self.socket.display()))
        })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        let request = Request::post("/RPC2")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "text/xml")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(call)))
            .map_err(|error| unreachable(&error))?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| unreachable(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_LIMIT)
                .collect()
                .await
                .map_err(|error| unreachable(&*error))?;
            if !status.is_success() {
                return Err(RpcError::Unreachable(format!(
                    "it answers with status {status}"
                )));
            }
            Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
        };
        tokio::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            ended = connection => {
                ended.map_err(|error| unreachable(&error))?;
                exchange.await
            }
        }
    }
}

fn unreachable(error: &(impl std::error::Error + ?Sized)) -> RpcError {
    RpcError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixListener,
    };

    /// A supervisord that gives one answer to one call.
    async fn one_answer(body: &str) -> (tempfile::TempDir, Rpc) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        (dir, Rpc::new(socket))
    }

    #[tokio::test]
    async fn reads_values_and_faults() {
        let value = "<?xml version='1.0'?><methodResponse><params><param><value><boolean>1</boolean></value></param></params></methodResponse>";
        let (_dir, rpc) = one_answer(value).await;
        assert_eq!(rpc.call::<bool>("shutdown", ()).await, Ok(true));
        let fault = "<?xml version='1.0'?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>10</int></value></member><member><name>faultString</name><value><string>BAD_NAME: x</string></value></member></struct></value></fault></methodResponse>";
        let (_dir, rpc) = one_answer(fault).await;
        let error = rpc.call::<bool>("addProcessGroup", "x").await.unwrap_err();
        assert!(error.is(code::BAD_NAME), "{error}");
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_unreachable() {
        let (_dir, rpc) = one_answer("<html>").await;
        assert!(matches!(
            rpc.call::<bool>("x", ()).await,
            Err(RpcError::Unreachable(_))
        ));
        let rpc = Rpc::new("/nonexistent/socket".into());
        assert!(matches!(
            rpc.call::<bool>("x", ()).await,
            Err(RpcError::Unreachable(_))
        ));
    }
}
