import {
  type DocumentNode,
  type ExecutionArgs,
  type GraphQLError,
  type GraphQLSchema,
  specifiedRules,
  subscribe,
  type ValidationRule,
  ValuesOfCorrectTypeRule,
} from 'graphql';
import {
  chain,
  createYoga,
  type GraphQLParams,
  getInstrumented,
  type Instrumentation,
  type OnParamsEventPayload,
  type Plugin,
  type YogaServer,
} from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { createExecute, type Execute } from '../graphql/compiled/execute.js';
import type { IntrospectionAccess } from '../settings.js';
import type { HookContext } from './context.js';
import { parseWithinLimits } from './document-limits.js';
import type { OperationResult } from './operation-result.js';
import { graphqlPath } from './request-scope.js';
import { valuesRule } from './values-rule.js';

/**
 * Documents are cached by their text. The characters are limited too: one document of a megabyte weighs like
 * a thousand.
 */
const cachedDocumentsMax = 1_000;
const cachedCharactersMax = 1_000_000;
const cachedDocumentCharactersMax = 20_000;

/** Runs the operation that parameters name. Never rejects: a failure becomes a result with errors. */
export type RunOperation = (params: GraphQLParams, context: HookContext) => Promise<OperationResult>;

export interface EngineOptions {
  readonly schema: GraphQLSchema;
  readonly introspection: IntrospectionAccess;
  /**
   * Plugins of Yoga and Envelop. Hooks that need WHATWG requests and responses are not called: see
   * docs/architecture.md.
   */
  readonly plugins: readonly Plugin[];
}

/** Documents that were found to be valid, by their text. */
export interface PreparedDocuments {
  readonly schema: GraphQLSchema;
  /**
   * Null for an unknown document, for GET, whose mutations are refused when they are parsed, and with
   * plugins, whose hooks have to see it.
   */
  find(context: HookContext, query: string): DocumentNode | null;
  add(query: string, document: DocumentNode): void;
  readonly execute: (args: ExecutionArgs) => Promise<OperationResult>;
}

/** GraphQL by Yoga, without its HTTP layer, which {@link createPipeline} replaces. */
export interface Engine {
  readonly prepared: PreparedDocuments;
  /** The functions of graphql-js with Envelop's hooks around them, for one request. */
  readonly envelop: (context: HookContext) => {
    readonly schema: GraphQLSchema;
    readonly parse: (document: string) => DocumentNode;
    readonly validate: (schema: GraphQLSchema, document: DocumentNode) => readonly GraphQLError[];
    readonly contextFactory: () => unknown;
    readonly execute: (args: ExecutionArgs) => OperationResult | Promise<OperationResult>;
    readonly subscribe: (args: ExecutionArgs) => OperationResult | Promise<OperationResult>;
  };
  /**
   * Runs an operation with the `onParams` and `onExecutionResult` hooks of all plugins before and after it.
   */
  readonly runWithHooks: (
    params: GraphQLParams,
    context: HookContext,
    runOperation: RunOperation,
  ) => Promise<OperationResult>;
}

export function createEngine({ schema, introspection, plugins }: EngineOptions): Engine {
  const execute = createExecute(introspection);
  const { plugin: access, getYoga } = accessToYoga();
  createYoga<object, HookContext>({
    schema,
    graphqlEndpoint: graphqlPath,
    plugins: [useExecution(execute), useDocumentLimits(), useValuesRule(), ...plugins, useValidationCache(), access],
    parserAndValidationCache: {
      documentCache: createDocumentCache<DocumentNode>(),
      // Yoga skips hooks for errors that it has cached.
      errorCache: { get: () => undefined, set: () => undefined },
      validationCache: false,
    },
    // The pipeline masks errors when it presents a result, after all hooks.
    maskedErrors: false,
    logging: false,
    // All that follows belongs to Yoga's HTTP layer.
    graphiql: false,
    batching: false,
    multipart: false,
    cors: false,
    maxRequestBodySize: false,
    landingPage: false,
  });
  const yoga = getYoga();
  // Behind the last plugin are Yoga's own, of which one checks the parameters, as the pipeline does.
  const installed = yoga.getEnveloped._plugins as unknown as readonly Plugin[];
  const all = installed.slice(0, installed.indexOf(access));
  const paramsHooks = all.flatMap(({ onParams }) => onParams ?? []);
  const resultHooks = all.flatMap(({ onExecutionResult }) => onExecutionResult ?? []);
  const tracers = all.flatMap(({ instrumentation }) => instrumentation ?? []);
  const tracer = tracers.length === 0 ? undefined : tracers.reduce<Instrumentation<object>>(chain, {});

  async function runWithHooks(
    params: GraphQLParams,
    context: HookContext,
    runOperation: RunOperation,
  ): Promise<OperationResult> {
    const { request } = context;
    const hookContext = context as HookContext & Record<string, unknown>;
    let result: OperationResult | undefined;
    // One payload for all hooks: this runs for every request.
    const payload: OnParamsEventPayload = {
      request,
      params,
      context: hookContext,
      fetchAPI: yoga.fetchAPI,
      paramsHandler: (given) => runOperation(given.params, given.context as HookContext & typeof given.context),
      setParams(changed) {
        payload.params = changed;
      },
      setParamsHandler(changed) {
        payload.paramsHandler = changed;
      },
      setResult(early) {
        result = early;
      },
    };
    for (const onParams of paramsHooks) {
      const pending = onParams(payload);
      if (pending !== undefined) await pending;
    }
    result ??= await payload.paramsHandler({ request, params: payload.params, context: hookContext });
    for (const onExecutionResult of resultHooks) {
      const pending = onExecutionResult({
        request,
        result,
        context: hookContext,
        setResult(changed) {
          result = changed;
        },
      });
      if (pending !== undefined) await pending;
    }
    return result;
  }

  const hasHooks = paramsHooks.length > 0 || resultHooks.length > 0;
  const run: Engine['runWithHooks'] = hasHooks
    ? runWithHooks
    : (params, context, runOperation) => runOperation(params, context);
  return {
    prepared: prepareDocuments(schema, execute, plugins.length === 0),
    envelop: (context) => yoga.getEnveloped(context),
    runWithHooks:
      tracer?.operation === undefined
        ? run
        : async (params, context, runOperation) =>
            getInstrumented({ context, request: context.request }).asyncFn(tracer.operation, run)(
              params,
              context,
              runOperation,
            ),
  };
}

function prepareDocuments(schema: GraphQLSchema, execute: Execute, isEnabled: boolean): PreparedDocuments {
  const documents = createDocumentCache<DocumentNode>();
  return {
    schema,
    find: ({ request }, query) => (isEnabled && request.method === 'POST' ? (documents.get(query) ?? null) : null),
    add(query, document) {
      if (isEnabled) documents.set(query, document);
    },
    execute,
  };
}

/**
 * Yoga itself, with its list of plugins. `createYoga` returns a WHATWG adapter around it, which hides the
 * list.
 */
function accessToYoga() {
  let found: YogaServer<object, HookContext> | undefined;
  const plugin: Plugin = {
    onYogaInit({ yoga }) {
      found = yoga as unknown as YogaServer<object, HookContext>;
    },
  };
  return {
    plugin,
    getYoga() {
      if (found === undefined) throw new Error('Yoga has not called onYogaInit.');
      return found;
    },
  };
}

/** The first plugin: all others can replace or wrap these functions. */
function useExecution(execute: Execute): Plugin {
  return {
    onExecute({ setExecuteFn }) {
      setExecuteFn(execute);
    },
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn(subscribe);
    },
  };
}

function useDocumentLimits(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn(parseWithinLimits);
    },
  };
}

function useValuesRule(): Plugin {
  return {
    onValidate({ validateFn, setValidationFn }) {
      setValidationFn((schema, document, rules = specifiedRules, ...rest) =>
        validateFn(
          schema,
          document,
          rules.map((rule: ValidationRule) => (rule === ValuesOfCorrectTypeRule ? valuesRule : rule)),
          ...rest,
        ),
      );
    },
  };
}

/**
 * Validates a document once for the same schema and rules, which plugins before it may have added to. Yoga's
 * own cache joins the names of all rules for each request, which takes longer than all other hooks together.
 */
function useValidationCache(): Plugin {
  interface Validated {
    readonly schema: GraphQLSchema;
    readonly rules: readonly ValidationRule[];
    readonly errors: readonly GraphQLError[];
  }
  const cache = new WeakMap<DocumentNode, Validated>();
  return {
    onValidate({ params: { schema, documentAST, rules = [] }, setResult }) {
      const known = cache.get(documentAST);
      if (known !== undefined && known.schema === schema && isSameList(known.rules, rules)) {
        setResult([...known.errors]);
        return;
      }
      return ({ result }) => {
        cache.set(documentAST, { schema, rules: [...rules], errors: result as readonly GraphQLError[] });
      };
    },
  };
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

/** A cache by the text of documents, with a bound. */
function createDocumentCache<Value extends object>(): LRUCache<string, Value> {
  return new LRUCache({
    max: cachedDocumentsMax,
    maxSize: cachedCharactersMax,
    maxEntrySize: cachedDocumentCharactersMax,
    sizeCalculation: (_value, document) => Math.max(1, document.length),
  });
}
