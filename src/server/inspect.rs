//! Reading a form for a rule that looks at it: as much as the portal's `form_limit` says, within a
//! time, and within what all forms together may take. Deliberately not here: what the form says,
//! which is `gate::Form`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits;
use crate::gate::Form;
use crate::upstream::{BodyError, RequestBody};

/// Room for forms, shared by all workers (LIM-07).
#[derive(Clone, Debug)]
pub(super) struct FormRoom(Arc<Semaphore>);

impl FormRoom {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(limits::FORMS / limits::FORM_UNIT)))
    }

    fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(limits::FORM_UNIT)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(units).ok()
    }
}

/// What was read: the form, the body with what was read of it in front, and the room it takes, which
/// is given back with the request.
pub(super) struct Inspected {
    pub(super) form: Form,
    pub(super) body: RequestBody,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Why a form could not be looked at; the request goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum InspectError {
    /// Others take all the room.
    #[error("there is no room for another form just now")]
    Busy,
    /// It did not come, or not in time.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl InspectError {
    /// The stable name of this reason.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Busy => "forms-busy",
            Self::Body(error) => error.code(),
        }
    }
}

/// Reads a body of up to `limit` bytes. A longer one is a form that nobody can read, and goes on
/// behind what was read of it.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: RequestBody,
    limit: usize,
    room: &FormRoom,
) -> Result<Inspected, InspectError> {
    let is_too_long = body.size_hint().lower() > limit as u64;
    if body.is_end_stream() || is_too_long {
        let form = if is_too_long { Form::Unreadable } else { Form::Absent };
        return Ok(Inspected { form, body, room: None });
    }
    let expected = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let room = room.take(expected.unwrap_or(limit)).ok_or(InspectError::Busy)?;
    let gather = gather(&mut body, limit);
    let (read, is_whole) =
        tokio::time::timeout(limits::FORM_TIME, gather).await.map_err(|_| BodyError::Slow)??;
    let form = if is_whole { Form::read(headers, &read) } else { Form::Unreadable };
    body.put_back(read);
    Ok(Inspected { form, body, room: Some(room) })
}

/// The first piece that goes beyond the limit is the last that is read.
async fn gather(body: &mut RequestBody, limit: usize) -> Result<(Bytes, bool), BodyError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
        if read.len() > limit {
            return Ok((read.freeze(), false));
        }
    }
    Ok((read.freeze(), true))
}
