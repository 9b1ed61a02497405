//! Reading a form for a rule that looks at it: as much as the portal's `form_limit` says, within a
//! time, and within what all forms together may take. Deliberately not here: what the form says,
//! which is `gate::Form`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

use super::admission::Origin;
use super::limits;
use crate::gate::Form;
use crate::upstream::{BodyError, RequestBody};

/// Room for forms, shared by all workers (LIM-07).
#[derive(Debug, Default)]
pub(super) struct FormRoom {
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    /// By visitor, while any of theirs is there.
    by_origin: HashMap<Origin, usize>,
}

/// What one form takes of it, given back with the request.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<FormRoom>,
    /// Nobody, if it is a proxy of ours, which speaks for many.
    origin: Option<Origin>,
    bytes: usize,
}

impl FormRoom {
    /// How many bytes are taken.
    pub(super) fn held(&self) -> i64 {
        i64::try_from(self.lock().in_all).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn nothing(room: &Arc<FormRoom>, stranger: Option<IpAddr>) -> Self {
        Self { room: Arc::clone(room), origin: stranger.map(Origin::from), bytes: 0 }
    }

    /// Takes as much more as has arrived; `false` if there is no room for it.
    fn grow(&mut self, bytes: usize) -> bool {
        let mut taken = self.room.lock();
        let in_all = taken.in_all + bytes;
        if in_all > limits::FORMS {
            return false;
        }
        if let Some(origin) = self.origin {
            let of_one = taken.by_origin.get(&origin).copied().unwrap_or(0) + bytes;
            if of_one > limits::FORMS_OF_ONE {
                return false;
            }
            taken.by_origin.insert(origin, of_one);
        }
        taken.in_all = in_all;
        self.bytes += bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.in_all = taken.in_all.saturating_sub(self.bytes);
        if let Some(origin) = self.origin
            && let Some(of_one) = taken.by_origin.get_mut(&origin)
        {
            *of_one = of_one.saturating_sub(self.bytes);
            if *of_one == 0 {
                taken.by_origin.remove(&origin);
            }
        }
    }
}

/// What was read: the form, the body with what was read of it in front, and the room it takes,
/// which is given back with the request.
pub(super) struct Inspected {
    pub(super) form: Form,
    pub(super) body: RequestBody,
    pub(super) share: Option<Share>,
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

/// How a form is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    /// In bytes; a longer one is a form that nobody can read.
    pub(super) limit: usize,
    /// Whether the request goes on without, where there is no room or no time: no rule of the mode
    /// refuses anything.
    pub(super) may_do_without: bool,
}

/// Reads a body. What is left of it goes on behind what was read.
pub(super) async fn read(
    headers: &HeaderMap,
    mut body: RequestBody,
    wants: Wants,
    stranger: Option<IpAddr>,
    room: &Arc<FormRoom>,
) -> Result<Inspected, InspectError> {
    let is_too_long = body.size_hint().lower() > wants.limit as u64;
    if body.is_end_stream() || is_too_long {
        let form = if is_too_long { Form::Unreadable } else { Form::Absent };
        return Ok(Inspected { form, body, share: None });
    }
    let mut share = Share::nothing(room, stranger);
    let mut read = BytesMut::new();
    let gather = gather(&mut body, wants.limit, &mut share, &mut read);
    let gathered = tokio::time::timeout(limits::FORM_TIME, gather).await;
    let is_whole = match gathered.unwrap_or(Err(InspectError::Body(BodyError::Slow))) {
        Ok(is_whole) => is_whole,
        Err(InspectError::Busy | InspectError::Body(BodyError::Slow)) if wants.may_do_without => {
            false
        }
        Err(error) => return Err(error),
    };
    let read = read.freeze();
    let form = if is_whole { Form::read(headers, &read) } else { Form::Unreadable };
    body.put_back(read);
    Ok(Inspected { form, body, share: Some(share) })
}

/// Reads a form for ourselves: the whole of it, as text.
pub(super) async fn own_form(
    body: RequestBody,
    limit: usize,
    stranger: Option<IpAddr>,
    room: &Arc<FormRoom>,
) -> Result<(String, Share), InspectError> {
    let (read, share) = whole(body, limit, stranger, room).await?;
    Ok((String::from_utf8_lossy(&read).into_owned(), share))
}

/// Reads the whole of a body, if it is not longer than this.
pub(super) async fn whole(
    mut body: RequestBody,
    limit: usize,
    stranger: Option<IpAddr>,
    room: &Arc<FormRoom>,
) -> Result<(Bytes, Share), InspectError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(InspectError::Body(BodyError::TooLarge));
    }
    let mut share = Share::nothing(room, stranger);
    let mut read = BytesMut::new();
    let gather = gather(&mut body, limit, &mut share, &mut read);
    let gathered = tokio::time::timeout(limits::FORM_TIME, gather).await;
    match gathered.unwrap_or(Err(InspectError::Body(BodyError::Slow)))? {
        true => Ok((read.freeze(), share)),
        false => Err(InspectError::Body(BodyError::TooLarge)),
    }
}

/// Whether it was all; the first piece that goes beyond the limit is the last that is read.
async fn gather(
    body: &mut RequestBody,
    limit: usize,
    share: &mut Share,
    read: &mut BytesMut,
) -> Result<bool, InspectError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
            if !share.grow(data.len()) {
                return Err(InspectError::Busy);
            }
        }
        if read.len() > limit {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lim_08_nobody_takes_all_the_room_for_forms() {
        let room = Arc::new(FormRoom::default());
        let share = |address: &str| Share::nothing(&room, address.parse().ok());
        let mut one = share("192.0.2.1");
        assert!(one.grow(limits::FORMS_OF_ONE));
        assert!(!one.grow(1));
        assert!(!share("192.0.2.1").grow(1), "it is one address");
        let mut others: Vec<Share> = (2..5).map(|last| share(&format!("192.0.2.{last}"))).collect();
        assert!(others.iter_mut().all(|other| other.grow(limits::FORMS_OF_ONE)));
        assert!(!share("192.0.2.9").grow(1), "there is no more");
        assert!(!Share::nothing(&room, None).grow(1));
        drop(others);
        assert!(share("192.0.2.9").grow(limits::FORMS_OF_ONE));
        drop(one);
        assert!(room.lock().by_origin.is_empty(), "what was taken is given back");
    }
}
