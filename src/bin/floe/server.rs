use crate::exit::Exit;
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) async fn run(_: Args) -> Result<(), Exit> {
    Ok(())
}
