"""`edgekit recipes`: list, show, describe."""

from __future__ import annotations

import json

import click

from edgekit.cli.outcome import Outcome, shared_options


@click.group("recipes", invoke_without_command=True)
@shared_options
@click.pass_context
def command(context: click.Context) -> Outcome | None:
    """List the recipes that come with edgekit; show one, or the schema of all.

    \b
    edgekit recipes
    edgekit recipes show mobilenet-int8 --resolved
    """
    if context.invoked_subcommand:
        return None
    from edgekit.recipe import load_recipe
    from edgekit.recipe_names import shipped_recipes

    listed = {name: load_recipe(path).description for name, path in shipped_recipes().items()}
    width = max(map(len, listed))
    return Outcome(listed, "\n".join(f"{name:<{width}}  {what}" for name, what in listed.items()))


@command.command("show")
@click.argument("name")
@click.option("--resolved", is_flag=True, help="With every default written out.")
@shared_options
def show(name: str, resolved: bool) -> Outcome:
    """Print a recipe: what it states, or with --resolved everything it means."""
    from edgekit.recipe import load_recipe
    from edgekit.recipe_names import find_recipe

    recipe = load_recipe(name)
    text = recipe.to_yaml() if resolved else find_recipe(name).read_text(encoding="utf-8")
    return Outcome(recipe.model_dump(mode="json"), text.rstrip())


@command.command("schema")
@shared_options
def schema() -> Outcome:
    """Print the JSON Schema of a recipe, for editors."""
    from edgekit.recipe import Recipe

    described = Recipe.model_json_schema()
    return Outcome(described, json.dumps(described, indent=2))
