import type { ReadyFolder } from '../model.js';

/** A git branch without a database branch, and what could be done about it. */
export interface OpenQuestion {
  /** The repository. */
  readonly project: string;
  /** URI of the folder that has the git branch checked out. */
  readonly folder: string;
  /** Name of the git branch. */
  readonly name: string;
  /** The database branch that a new one would come from. */
  readonly parent: string;
}

/** The questions that are open now. */
export function openQuestions(folders: readonly ReadyFolder[]): OpenQuestion[] {
  return folders.flatMap(({ folder, project }) => {
    const ask = project.worktree.ask;
    return ask === undefined ? [] : [{ project: project.id, folder: folder.uri, name: ask.name, parent: ask.parent }];
  });
}

/** Whether the question has not been answered elsewhere meanwhile, and is still about what is checked out. */
export function isStillOpen(question: OpenQuestion, folders: readonly ReadyFolder[]): boolean {
  return openQuestions(folders).some((each) => each.folder === question.folder && each.name === question.name);
}

/** Which questions a window has put: each git branch of a repository once. */
export class Put {
  private readonly keys = new Set<string>();

  /** The questions to put now. They count as put from then on. */
  take(open: readonly OpenQuestion[]): OpenQuestion[] {
    return open.filter((question) => {
      const key = JSON.stringify([question.project, question.name]);
      const fresh = !this.keys.has(key);
      this.keys.add(key);
      return fresh;
    });
  }

  /** Lets every question of a repository be put again. */
  forget(project: string): void {
    for (const key of this.keys) {
      if ((JSON.parse(key) as unknown[])[0] === project) {
        this.keys.delete(key);
      }
    }
  }
}
