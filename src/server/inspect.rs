//! Reading a form for a rule that looks at it: as much as the portal's `form_limit` says, within a
//! time, and within what all forms together may take. Deliberately not here: what the form says,
//! which is `gate::Form`.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::admission::{Seat, Shares};
use super::limits;
use crate::gate::Form;
use crate::upstream::{BodyError, RequestBody};

/// Room for forms, shared by all workers (LIM-07), of which no address has all (LIM-08): a form takes
/// it before a byte of it has come.
#[derive(Debug)]
pub(super) struct FormRoom {
    units: Arc<Semaphore>,
    shares: Shares,
}

/// The room that a form takes. Dropping gives it back.
#[derive(Debug)]
pub(super) struct Room {
    _units: OwnedSemaphorePermit,
    _seat: Option<Seat>,
}

impl FormRoom {
    /// How many [`limits::FORM_UNIT`] there are.
    const UNITS: usize = limits::FORMS / limits::FORM_UNIT;

    pub(super) fn new() -> Self {
        Self { units: Arc::new(Semaphore::new(Self::UNITS)), shares: Shares::new(Self::UNITS) }
    }

    /// For a form of `stranger`, or of somebody who speaks for many.
    fn take(&self, bytes: usize, stranger: Option<IpAddr>) -> Option<Room> {
        let size = bytes.div_ceil(limits::FORM_UNIT).max(1);
        let taken = Self::UNITS.saturating_sub(self.units.available_permits());
        let seat = match stranger {
            Some(address) => Some(self.shares.seat(address, size, taken)?),
            None => None,
        };
        let units = Arc::clone(&self.units).try_acquire_many_owned(u32::try_from(size).ok()?);
        Some(Room { _units: units.ok()?, _seat: seat })
    }
}

/// What was read: the form, the body with what was read of it in front, and the room it takes, which
/// is given back with the request.
pub(super) struct Inspected {
    pub(super) form: Form,
    pub(super) body: RequestBody,
    pub(super) room: Option<Room>,
}

/// Why a form could not be looked at; the request goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum InspectError {
    /// Others take all the room, or this address its share of it.
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
    stranger: Option<IpAddr>,
) -> Result<Inspected, InspectError> {
    let is_too_long = body.size_hint().lower() > limit as u64;
    if body.is_end_stream() || is_too_long {
        let form = if is_too_long { Form::Unreadable } else { Form::Absent };
        return Ok(Inspected { form, body, room: None });
    }
    let expected = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let room = room.take(expected.unwrap_or(limit), stranger).ok_or(InspectError::Busy)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lim_08_one_address_cannot_have_all_the_room_for_forms() {
        let room = FormRoom::new();
        let (greedy, other) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        let mut forms = Vec::new();
        while let Some(form) = room.take(1024 * 1024, greedy) {
            forms.push(form);
        }
        assert_eq!(forms.len() * 1024 * 1024, limits::FORMS / 2);
        assert!(room.take(1024 * 1024, other).is_some(), "others have theirs");
        forms.extend(std::iter::from_fn(|| room.take(1024 * 1024, None)));
        assert_eq!(forms.len() * 1024 * 1024, limits::FORMS, "a proxy of ours has that of many");
        assert!(room.take(1, other).is_none());
        forms.clear();
        assert!(room.take(limits::FORMS, greedy).is_some(), "all was given back");
    }
}
