/** @file ESLint rule: a file begins by saying what it holds, in a comment with `@file`. */

export const fileHeader = {
  meta: { type: 'suggestion', schema: [] },
  create(context) {
    return {
      Program(node) {
        const { sourceCode } = context
        const [first] = sourceCode.ast.body
        const header = sourceCode
          .getAllComments()
          .find(({ value, range }) => value.startsWith('*') && (first === undefined || range[1] <= first.range[0]))
        const said = /@file\s+(?<text>[^@]*)/.exec(header?.value ?? '')?.groups?.text.replace(/[\s*]/g, '')
        if (!said)
          context.report({
            node,
            message: 'Begin with /** @file … */: one sentence about what is here; of a test, what is held to what.',
          })
      },
    }
  },
}
