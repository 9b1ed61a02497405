//! A permitted request over HTTP/2: what is told to the portal, and when it is told once more.

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper::body::{Body as _, Incoming};

use super::http2::{Failed, OnLine, Outgoing, Sent};
use super::pool::Place;
use super::{Answer, Forwarding, RequestBody, Upstream, UpstreamError};
use crate::gate::Permit;
use crate::gate::identity::Envelope;

impl Upstream {
    /// On one of few connections that many requests share. Once more where nothing was sent, or
    /// where the portal says that it did nothing (HTTP-07).
    pub(super) async fn send_http2(
        &self,
        permit: &Permit,
        method: &Method,
        headers: &HeaderMap,
        body: RequestBody,
        (envelope, forwarding): (Option<&Envelope>, Forwarding<'_>),
    ) -> Result<Answer, UpstreamError> {
        let head = self.http2_head(permit, method, headers, (envelope, forwarding))?;
        let is_idempotent = method.is_idempotent();
        // What has a body cannot be sent twice.
        let again = (is_idempotent && body.is_end_stream()).then(|| head.clone());
        let chosen = self.servers.choose(&self.turn, None);
        let mut place = Place::take(self.pool(chosen)?)?;
        let request = Request::from_parts(head, Outgoing::new(body));
        let (next, request) = match self.run_http2(chosen, request).await {
            Ok((answer, on_line)) => {
                return Ok(Self::answered(answer, on_line, permit, method, place));
            }
            Err(Failed::Unsent(error, unsent)) => {
                // A connection that had closed is no reason to leave the server alone.
                let was_reached = matches!(error, UpstreamError::Exchange(_));
                let may_move = is_idempotent && self.servers.len() > 1;
                match (was_reached, may_move) {
                    (true, _) => (chosen, *unsent),
                    (false, true) => (self.servers.choose(&self.turn, Some(chosen)), *unsent),
                    (false, false) => return Err(error),
                }
            }
            Err(Failed::Unprocessed(error)) => match again {
                Some(head) => {
                    (chosen, Request::from_parts(head, Outgoing::new(RequestBody::empty())))
                }
                None => return Err(error),
            },
            Err(failed) => return Err(failed.into_error()),
        };
        place.move_to(self.pool(next)?);
        let (answer, on_line) = self.run_http2(next, request).await.map_err(Failed::into_error)?;
        Ok(Self::answered(answer, on_line, permit, method, place))
    }

    fn answered(
        answer: Response<Incoming>,
        on_line: OnLine,
        permit: &Permit,
        method: &Method,
        place: Place,
    ) -> Answer {
        let passes_trailers = permit.passes().trailers;
        Answer::in_http2(answer, on_line, method, place, passes_trailers).cleansed()
    }

    async fn run_http2(
        &self,
        chosen: usize,
        request: Sent,
    ) -> Result<(Response<Incoming>, OnLine), Failed> {
        let Some(lines) = self.lines.get(chosen) else {
            return Err(Failed::Unsent(UpstreamError::no_server(), Box::new(request)));
        };
        let line = match lines.take() {
            Some(line) => Ok(line),
            None => match self.servers.connect(chosen).await {
                Ok(stream) => lines.open(stream).await,
                Err(error) => Err(error),
            },
        };
        match line {
            Ok(line) => {
                let patience = self.servers.settings.response_timeout;
                let answered = line.run(request, patience).await?;
                self.servers.answered(chosen);
                Ok(answered)
            }
            Err(error) => Err(Failed::Unsent(error, Box::new(request))),
        }
    }

    /// The head of a request in HTTP/2: the target that was judged, and the host in `:authority`.
    fn http2_head(
        &self,
        permit: &Permit,
        method: &Method,
        headers: &HeaderMap,
        (envelope, forwarding): (Option<&Envelope>, Forwarding<'_>),
    ) -> Result<http::request::Parts, UpstreamError> {
        let is_secure = self.servers.settings.tls.is_some();
        let uri = Uri::builder()
            .scheme(if is_secure { "https" } else { "http" })
            .authority(forwarding.host.as_bytes())
            .path_and_query(permit.target())
            .build();
        let uri = uri.ok().filter(|uri| {
            uri.path_and_query().is_some_and(|target| target.as_str() == permit.target())
        });
        let uri = uri.ok_or_else(|| {
            let message = "HTTP/2 cannot carry the target of this request";
            UpstreamError::Connection(std::io::Error::other(message))
        })?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = method.clone();
        head.uri = uri;
        head.version = http::Version::HTTP_2;
        head.headers = headers.clone();
        let identity = envelope.into_iter().flat_map(|envelope| &envelope.headers);
        let ours = forwarding.headers().filter(|(name, _)| **name != header::HOST);
        for (name, value) in ours.chain(identity.map(|(name, value)| (name, value))) {
            head.headers.append(name, value.clone());
        }
        if permit.passes().trailers {
            head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        Ok(head)
    }
}
