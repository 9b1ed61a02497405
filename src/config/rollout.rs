//! `rollout`: for whom `azure_only` holds already, as the operator writes it.

use super::context::{Context, Located, Spot};
use super::file::PortalFile;
use super::kind::Unfit;
use super::requires;
use super::section::Section;
use crate::gate::{Mode, Right, Rollout};

/// What an operator wrote at `rollout`.
pub(super) struct RolloutFile {
    spot: Spot,
    names_share: bool,
    share: Option<Located<u8>>,
    /// Outside `None` if it was reported, inside if the key is not there.
    groups: Option<Option<Vec<Located<String>>>>,
}

impl RolloutFile {
    /// The groups that it names.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().flatten().flatten().map(|group| group.value.as_str())
    }
}

pub(super) fn read(section: &Section<'_>) -> RolloutFile {
    RolloutFile {
        spot: section.spot().clone(),
        names_share: section.has("share"),
        share: section.value("share", percent),
        groups: section.if_there("groups", |key| section.values(key, requires::group)),
    }
}

/// Outside `None` if something was reported, inside if it holds for everybody.
pub(super) fn resolve(context: &Context<'_>, file: &PortalFile) -> Option<Option<Rollout>> {
    let Some(written) = file.rollout.as_ref()? else {
        return Some(None);
    };
    let groups = written.groups.as_ref()?;
    let groups = groups.as_ref().filter(|groups| !groups.is_empty());
    let share = written.share.as_ref()?;
    match file.mode? {
        Mode::AzureOnly => {}
        mode @ (Mode::Optional | Mode::ReportOnly | Mode::Off) => {
            let message = format!(
                "a switch comes from `report_only` to `azure_only`, step by step: with `rollout` \
                 the mode is `azure_only`, and who is left out is as in `report_only`; here it is \
                 `{}`",
                mode.name()
            );
            context.error(&written.spot, message);
            return None;
        }
    }
    match (written.names_share, groups) {
        (false, None) => {
            let message =
                "this says for nobody that `azure_only` holds: name a `share` or `groups`";
            context.error(&written.spot, message);
            return None;
        }
        (true, None) if share.value == 0 => {
            let message = "`azure_only` holds for nobody: this is `report_only`";
            context.warn(&share.spot, message);
        }
        _ if share.value == 100 => {
            let message = "`azure_only` holds for everybody: `rollout` can be left out";
            context.warn(&share.spot, message);
        }
        _ => {}
    }
    let names = |groups: &Vec<Located<String>>| {
        Right::Groups(groups.iter().map(|group| group.value.clone()).collect())
    };
    Some(Some(Rollout { percent: share.value, groups: groups.map(names) }))
}

/// `25%`.
fn percent(text: &str) -> Result<u8, Unfit> {
    let number = text.strip_suffix('%').ok_or(Unfit::Kind)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit())
        && (number == "0" || !number.starts_with('0'));
    let number = number.parse::<u8>().ok().filter(|percent| is_plain && *percent <= 100);
    number.ok_or(Unfit::Kind)
}
