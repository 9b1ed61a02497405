//! `completions` and `man`: what packages bring along for shells and readers, written from the
//! command line's own definition, so that neither can say what the program does not do.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use super::{Arguments, FAILED, complain};

/// For which shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Where the pages go.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder, which is there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes the completions to standard output.
pub(super) fn completions(asked: &Completions) -> ExitCode {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(asked.shell, &mut command, name, &mut text);
    told(io::stdout().write_all(&text), "standard output")
}

/// Writes a page for the program and one for each verb, section 1, to the folder.
pub(super) fn man(asked: &Man) -> ExitCode {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    told(pages(&command, &asked.folder), &asked.folder.display().to_string())
}

fn pages(command: &Command, folder: &Path) -> io::Result<()> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    page.render(&mut text)?;
    fs::write(folder.join(page.get_filename()), text)?;
    let mut verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.try_for_each(|verb| pages(verb, folder))
}

fn told(written: io::Result<()>, place: &str) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever closed it has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {place} cannot be written: {error}"));
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of a command and of all that it has, as pages are called.
    fn names(command: &Command, all: &mut Vec<String>) {
        all.push(clap_mangen::Man::new(command.clone()).get_filename());
        command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .for_each(|verb| names(verb, all));
    }

    #[test]
    fn every_verb_that_is_shown_has_a_page_that_tells_what_help_tells() {
        let folder = std::env::temp_dir().join(format!("anteport-man-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(man(&Man { folder: folder.clone() }), ExitCode::SUCCESS);
        let mut command = Arguments::command().disable_help_subcommand(true);
        command.build();
        let mut wanted = Vec::new();
        names(&command, &mut wanted);
        wanted.sort();
        let mut there: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, wanted);
        assert!(there.contains(&"anteport-keys-rotate.1".to_owned()), "{there:?}");
        assert!(!there.contains(&"anteport-man.1".to_owned()), "{there:?}");
        let page = fs::read_to_string(folder.join("anteport-check.1")).unwrap();
        assert!(page.contains("Say everything that is wrong with a configuration"), "{page}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = std::env::temp_dir().join("anteport-man/not/there");
        assert_eq!(man(&Man { folder }), ExitCode::from(FAILED));
    }
}
