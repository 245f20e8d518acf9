/** @file What users of a package see, read from its declarations with TypeScript's own compiler: names, and what they lack. */
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

/** What is wrong with the public declarations of a package: one line each, sorted. */
export interface PublicApi {
  /** Names that users can import, by entry: `Adapter`, and `nn.Linear` for what a namespace holds. */
  readonly names: ReadonlyMap<string, readonly string[]>
  /** Types of ours that stand in a public signature and that no entry exports. */
  readonly hidden: readonly string[]
  /** Exported names and public members without a docstring. */
  readonly undocumented: readonly string[]
  /** Exported functions whose docstring has no `@example`. */
  readonly withoutExample: readonly string[]
}

type Conditions = string | { readonly [condition: string]: Conditions }

/** The declaration files that `exports` leads to, by entry; one entry has several where conditions choose between them. */
export function declarationEntries(packageFolder: string): Map<string, string> {
  const { exports } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    exports: Record<string, Conditions>
  }
  const found = new Map<string, string>()
  const walk = (entry: string, at: Conditions): void => {
    if (typeof at === 'string') return
    for (const [condition, next] of Object.entries(at))
      if (condition === 'types' && typeof next === 'string') found.set(entry, resolve(packageFolder, next))
      else walk(`${entry} (${condition})`, next)
  }
  for (const [entry, at] of Object.entries(exports)) walk(entry, at)
  return found
}

const isHidden = (node: ts.Node): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)

const isFunctionType = (node: ts.Declaration): boolean =>
  ts.isFunctionDeclaration(node) ||
  (ts.isVariableDeclaration(node) && node.type !== undefined && ts.isFunctionTypeNode(node.type))

/** Reads the declarations of a package. Types of other packages and of the language are none of its business. */
export function readPublicApi(packageFolder: string, entries = declarationEntries(packageFolder)): PublicApi {
  for (const [entry, file] of entries) if (!existsSync(file)) throw new Error(`${entry}: there is no ${file}; build the package`)
  const program = ts.createProgram([...entries.values()], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    noEmit: true,
  })
  const checker = program.getTypeChecker()
  const target = (symbol: ts.Symbol): ts.Symbol =>
    symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const isOurs = (file: ts.SourceFile): boolean => {
    const path = relative(resolve(packageFolder), file.fileName)
    return !path.startsWith('..') && !path.split(sep).includes('node_modules')
  }
  const declarationsOf = (symbol: ts.Symbol): ts.Declaration[] =>
    (symbol.declarations ?? []).filter((node) => isOurs(node.getSourceFile()))
  const place = (node: ts.Node): string => {
    const file = node.getSourceFile()
    return `${relative(resolve(packageFolder), file.fileName)}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}`
  }

  const names = new Map<string, string[]>()
  const exported = new Map<ts.Symbol, string>()
  const collect = (entry: string, module: ts.Symbol, prefix: string): void => {
    for (const symbol of checker.getExportsOfModule(module)) {
      const found = target(symbol)
      const name = `${prefix}${symbol.name}`
      names.set(entry, [...(names.get(entry) ?? []), name])
      if (found.flags & ts.SymbolFlags.ValueModule) collect(entry, found, `${name}.`)
      else if (!exported.has(found)) exported.set(found, name)
    }
  }
  for (const [entry, file] of entries) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)
    if (module === undefined) throw new Error(`${entry}: ${file} exports nothing`)
    collect(entry, module, '')
  }

  const hidden = new Set<string>()
  const undocumented = new Set<string>()
  const withoutExample = new Set<string>()

  const refer = (name: ts.Node, from: string): void => {
    const at = checker.getSymbolAtLocation(name)
    if (at === undefined) return
    const symbol = target(at)
    if (symbol.flags & (ts.SymbolFlags.TypeParameter | ts.SymbolFlags.EnumMember) || exported.has(symbol)) return
    // A value whose type is asked for (`typeof x`), or an indexed member, belongs to what declares it.
    if (symbol.flags & (ts.SymbolFlags.FunctionScopedVariable | ts.SymbolFlags.Property | ts.SymbolFlags.Method)) return
    const declared = declarationsOf(symbol)[0]
    if (declared !== undefined) hidden.add(`${symbol.name} (${place(declared)}), in ${from}`)
  }
  const visitTypes = (node: ts.Node, from: string): void => {
    if (isHidden(node)) return
    if (ts.isTypeReferenceNode(node)) refer(node.typeName, from)
    else if (ts.isExpressionWithTypeArguments(node)) refer(node.expression, from)
    else if (ts.isTypeQueryNode(node)) refer(node.exprName, from)
    else if (ts.isImportTypeNode(node) && node.qualifier !== undefined) refer(node.qualifier, from)
    ts.forEachChild(node, (child) => visitTypes(child, from))
  }

  const hasText = (symbol: ts.Symbol): boolean => ts.displayPartsToString(symbol.getDocumentationComment(checker)).trim() !== ''
  const members = (node: ts.Node, owner: string): void => {
    const list = ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeLiteralNode(node) ? node.members : []
    for (const member of list) {
      if (isHidden(member)) continue
      const name = member.name?.getText() ?? (ts.isConstructorDeclaration(member) ? 'constructor' : '[…]')
      if (ts.isConstructorDeclaration(member)) {
        const [comment] = ts.getJSDocCommentsAndTags(member)
        if (member.parameters.length > 0 && comment === undefined) undocumented.add(`${owner}.${name} (${place(member)})`)
        continue
      }
      const symbol = member.name === undefined ? undefined : checker.getSymbolAtLocation(member.name)
      const isOverride = ts.canHaveModifiers(member) && ts.isClassDeclaration(node) && inherited(node, name)
      if (symbol !== undefined && !hasText(symbol) && !isOverride) undocumented.add(`${owner}.${name} (${place(member)})`)
    }
    if (ts.isTypeAliasDeclaration(node)) literals(node.type, owner)
  }
  /** Whether a class has the member from what it extends or implements, where it is documented. */
  const inherited = (node: ts.ClassDeclaration, name: string): boolean =>
    (node.heritageClauses ?? [])
      .flatMap(({ types }) => types)
      .some((type) => {
        const member = checker.getTypeAtLocation(type).getProperty(name)
        return member !== undefined && hasText(member)
      })
  const literals = (node: ts.Node, owner: string): void => {
    if (ts.isTypeLiteralNode(node)) members(node, owner)
    else if (ts.isUnionTypeNode(node) || ts.isIntersectionTypeNode(node)) for (const type of node.types) literals(type, owner)
    else if (ts.isParenthesizedTypeNode(node)) literals(node.type, owner)
  }

  for (const [symbol, name] of exported) {
    const declarations = declarationsOf(symbol)
    if (declarations.length === 0) continue
    if (!hasText(symbol)) undocumented.add(`${name} (${place(declarations[0]!)})`)
    for (const node of declarations) {
      visitTypes(node, name)
      members(node, name)
    }
    if (declarations.some(isFunctionType) && !symbol.getJsDocTags(checker).some((tag) => tag.name === 'example'))
      withoutExample.add(`${name} (${place(declarations[0]!)})`)
  }
  const sorted = (lines: Set<string>): string[] => [...lines].sort()
  return { names, hidden: sorted(hidden), undocumented: sorted(undocumented), withoutExample: sorted(withoutExample) }
}
