/** The recipes of docs/recipes by their files' names, put here by the build. */
declare const RECIPES: Readonly<Record<string, Readonly<Record<string, unknown>>>>

export const recipes = RECIPES
