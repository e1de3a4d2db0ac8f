"""``trueweight completion``: the script that lets a shell finish words."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL finish commands and options.

    \b
    Examples:
        echo 'eval "$(trueweight completion bash)"' >> ~/.bashrc
        echo 'eval "$(trueweight completion zsh)"' >> ~/.zshrc
        trueweight completion fish > ~/.config/fish/completions/trueweight.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None  # click knows all three
    click.echo(kind(ctx.find_root().command, {}, "trueweight", "_TRUEWEIGHT_COMPLETE").source())
