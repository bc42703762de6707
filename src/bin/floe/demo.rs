use crate::exit::Exit;
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_: &Args) -> Result<(), Exit> {
    Ok(())
}
