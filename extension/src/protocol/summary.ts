// Generated from `sidecar/summary`: do not edit. `npm run generate` writes it anew.

/**
 * What a filter can choose from.
 */
export type Choices = { 
/**
 * Kinds that changed, as they are on the wire, sorted.
 */
kinds: Array<string>, 
/**
 * Groups that have changes, sorted.
 */
groups: Array<Group>, };

/**
 * A changed object that is no relation.
 */
export type Chip = { 
/**
 * The object.
 */
object: ObjectRef, 
/**
 * Kind and name.
 */
title: string, 
/**
 * How it stands.
 */
state: State, 
/**
 * Whose the change is.
 */
group: Group, };

/**
 * A column.
 */
export type Column = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its type, and whether it takes nulls.
 */
detail: string, 
/**
 * The former type, if that is another.
 */
before?: string, 
/**
 * How it stands.
 */
state: State, 
/**
 * It belongs to the primary key.
 */
primary: boolean, 
/**
 * It belongs to a foreign key.
 */
foreign: boolean, };

/**
 * Which changes to show; by default all.
 */
export type Filter = { 
/**
 * Words that kind and name must contain, whatever their case.
 */
text: string, 
/**
 * Kinds as they are on the wire; empty for all.
 */
kinds: Array<string>, 
/**
 * Groups; empty for all.
 */
groups: Array<Group>, };

/**
 * Whose a change is.
 */
export type Group = "conflict" | "mine" | "theirs" | "both" | "unknown";

/**
 * A foreign key.
 */
export type Link = { 
/**
 * Its name.
 */
name: string, 
/**
 * The referring box.
 */
from: number, 
/**
 * The box that is referred to.
 */
to: number, 
/**
 * The referring columns.
 */
columns: string, 
/**
 * How it stands.
 */
state: State, };

/**
 * An object as the wire protocol has it.
 */
export type ObjectRef = { 
/**
 * Its kind: `table`, `materializedView`.
 */
kind: string, 
/**
 * Its schema, if it lies in one.
 */
schema?: string, 
/**
 * Its name; of a routine with the types of its arguments.
 */
name: string, };

/**
 * A part of an object: a column, an index, a constraint.
 */
export type Part = { 
/**
 * Its kind as it is on the wire: `column`, `index`.
 */
kind: string, 
/**
 * Its name.
 */
name: string, 
/**
 * What is to be said of it in a line: the type of a column, the rest of a constraint's definition.
 */
detail: string, };

/**
 * A picture.
 */
export type Picture = { 
/**
 * Name of the branch.
 */
mine: string, 
/**
 * Name of its parent.
 */
theirs: string, 
/**
 * All changes in one line, whatever the filter.
 */
verdict: string, 
/**
 * Relations: the changed ones that are shown, then others that have a key in common with one of these.
 */
boxes: Array<TableBox>, 
/**
 * Foreign keys between boxes.
 */
links: Array<Link>, 
/**
 * Changed objects that are no relations.
 */
others: Array<Chip>, 
/**
 * Changed relations that are not shown, because there are too many.
 */
hidden: number, 
/**
 * What a filter can choose from.
 */
choices: Choices, };

/**
 * How a thing stands.
 */
export type State = "same" | "added" | "removed" | "changed" | "conflict";

/**
 * A relation.
 */
export type TableBox = { 
/**
 * The relation.
 */
object: ObjectRef, 
/**
 * Kind and name.
 */
title: string, 
/**
 * How it stands.
 */
state: State, 
/**
 * Whose the change is; `None` of an unchanged one.
 */
group?: Group, 
/**
 * Why it is a conflict.
 */
reasons: Array<string>, 
/**
 * Columns worth showing: those that differ and those of keys.
 */
columns: Array<Column>, 
/**
 * How many columns are not shown.
 */
more: number, 
/**
 * Other parts that differ.
 */
parts: Array<TablePart>, };

/**
 * A part of a relation that differs and is no column.
 */
export type TablePart = { 
/**
 * Kind and name.
 */
title: string, 
/**
 * How it stands.
 */
state: State, };
