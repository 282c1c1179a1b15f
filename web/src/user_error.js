/** A fault that the person at the page can mend. Its message is one sentence: the fault, then the advice. */
export class UserError extends Error {}
