import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import { exportedNames } from './exports.ts'

/**
 * Everything that users can import. Removing a name or changing its meaning breaks users, and needs an entry in
 * CHANGELOG.md. A new name must be kept for years: is it needed?
 */
const publicNames: Record<string, { values: string; types: string }> = {
  portcullis: {
    values: `
      ConfigError DEFAULT_JURISDICTIONS DENIALS ExpectationBroken PolicyError PurposeRequired RevisionConflict UnavailableError
      UnreadableError UsageError appIdFrom auditAccess bodyParsers changeKeys checkExpectations comparePolicies compareStoredPolicies createPolicySource diffPolicies
      diskSnapshot domainProtect explain fileStore formatList guardUpgrade httpMessageSignatures ipWhitelist
      isPortcullisError keepBody lintList lintPolicy memoryAuditSink memoryNonces memoryStore parseList
      parsePolicy protect protectServer regionPin rejudge returnUrlGuard rollbackPolicy safeRedirect scorePolicy serverOnly
      tryExpectations
    `,
    types: `
      AuditEvent Comparison Jurisdiction ListStore PolicySourceStatus SynchronousNonceStore
      AppKey AuditAccessHandler AuditAccessOptions 
      
      ClientAddressOption Decision DecisionContext DenialCode 
      DomainProtectOptions 
      Expectation ExpectationOutcome Explanation FileStore GuardName GuardRequest GuardResponse 
      InitialApp IpWhitelistOptions Jurisdictions
      JobOptions JudgedDifference ListEntry NotJudged PersonalModel PersonalModels
      ManagedPolicyStore MemoryAuditSink Mode NextFunction
      NonceStore Policy PolicyChange PolicyComparison PolicyFinding PolicyInput PolicyScore PolicySnapshot
      PolicySource PolicySourceOptions PortcullisContext ProtectOptions ProtectedApp ProtectedServer
      Refusal RefusalLine RegionPinOptions Rejected RejudgeOptions RejudgeReport RequestDescription RequestHandler
      ReturnUrlGuardOptions 
      SchemeContext ServerOnlyOptions SharedOptions
      SignatureScheme SignedMessage SnapshotEntry 
      Verified Witness WriteCheck
    `,
  },
  'portcullis/client': {
    values: `
      signRequest signedAxios signedFetch superagentSigner undiciSigner
    `,
    types: `
      AxiosLike CallerOptions HeadersLike PrivateKey RequestToSign SignedFetchOptions SigningOptions
      UndiciInterceptor
    `,
  },
  'portcullis/redis': {
    values: `
      fromNodeRedis readAuditStream redisAuditSink redisCursors redisFrames redisNonces redisPeople redisPersonKeys redisRecentEvents
      redisStore       rewriteRedis
    `,
    types: `
      BytesClient NodeRedisClient RedisAuditClient RedisAuditSinkOptions RedisClient RedisCursorsOptions
      RedisFramesOptions RedisNoncesOptions
      RedisPeopleOptions RedisRecentEventsOptions RedisStore RedisStoreOptions RewriteClient StoredAuditEvent
    `,
  },
  'portcullis/store': {
    values: `
      ConfigError KEPT_REVISIONS MAX_APPS_PER_ENTRY PolicyError RevisionConflict UnavailableError
      UnreadableError askCheck checkHistoryPage checkListName checkListPage checkRemoval checkedEntries
      createListeners createSealing isAppId isListName isUse keyFingerprints lintKeys listKeys originIndexKeys
      parseDocument parseNote sharedKeyIssue
    `,
    types: `
      AppDocument AppKey AppPage AppRevision ChangeNote KeyChanges KeyLimits ListEntry ListFormat ListStore ListSummary ListedApp
      ListedKey Listeners ManagedPolicyStore Policy PolicyIssue PolicyStore Sealing StoreListener
      StoredApp StoredList WriteCheck WriteOptions
    `,
  },
  'portcullis/audit': {
    values: `
      archivedFrames auditLog checkpointFile checkpointsToStdout createAuditReader createExporter createPseudonyms createSealer erasePeople exportLine framesOf fromOcsf inclusionProof kafka leafHash linesOf memoryFrames memoryPeople merkleRoot otlpLogs parseEvent parseVerifierKey people printSubjectReport readCheckpoint readCheckpointFile readEvents readFrame recentLogEvents retainLog rootOfInclusion sealKnex sealMongoose sealPg sealPrisma searchTraces serialiseEvent signCheckpoint toCloudEvent toOcsf toOtlpRecord verifierKey verifyLog webhook
    `,
    types: `
      Action ActionEvent ActorKind AuditEvent AuditLog AuditLogMode AuditLogOptions AuditLogStatus AuditPage AuditPageOptions AuditQuery AuditReader AuditReaderOptions AuditSink Checkpoint CursorStore Destination EraseOptions Erased ExportFormat Exporter ExporterOptions FieldEvent FindRecentEvents FoundEvent Frame FrameStore FrameToStore JudgedKey KafkaOptions KafkaProducer LeakEvent ListEvent LogProblem LogProblemCode LogReport LogStart MemoryFrames MemoryFramesOptions ModelNames NoteKey OperationEvent OtlpLogsOptions OutcomeEvent People PeopleOptions PeopleStore PersonReads PgQuery PrismaExtension PublishCheckpoint RecentEvents RecentEventsOptions RecentEventsQuery RetainOptions Retained RowSealer Sealer SealerOptions SpoolPlace StoredFrame SubjectAccess SubjectReport Trace VerifyOptions WebhookOptions
    `,
  },
  'portcullis/fastify': {
    values: `
      portcullisFastify
    `,
    types: `
      PortcullisContext PortcullisFastifyOptions
    `,
  },
  'portcullis/hono': {
    values: `
      portcullisHono
    `,
    types: `
      HonoContextLike PortcullisContext
    `,
  },
  'portcullis/console': {
    values: `
      consoleTokens createConsole memoryConsoleState
    `,
    types: `
      ConsoleOptions ConsoleRight ConsoleState ConsoleToken ConsoleUser RecentEvents RecentEventsQuery SignInAttempt
    `,
  },
  'portcullis/metrics': {
    values: `
      createMetrics createReadiness
    `,
    types: `
      Metrics MetricsOptions Readiness ReadinessOptions ReadinessProbe
    `,
  },
  'portcullis/otel': {
    values: `
      openTelemetryDecisions
    `,
    types: `
      OpenTelemetryApi OpenTelemetryOptions
    `,
  },
  'portcullis/testing': {
    values: `
      allowed denied hostileOrigins hostileReturnUrls namedListContract nonceStoreContract
      policyStoreContract rightfulReturnUrls
    `,
    types: `
      FetchedResponse HostileOrigin HostileReturnUrl NonceStoreUnderTest ReceivedResponse ResponseCheck
      RightfulReturnUrl StoreUnderTest StoreWithLists TestRunner
    `,
  },
  'portcullis/region': {
    values: `
      COUNTRY_GROUPS ConfigError EEA EUROPE RevisionConflict UK_ADEQUACY UnavailableError UnreadableError UsageError
      regionalStore regions
    `,
    types: `
      Belonging CountryGroup Jurisdiction Jurisdictions LocationNotice LocationOf LocationStatus MoveEvent MoveStep NameOf
      PersonHandle PersonId PersonPage PersonRecord Pinned PinnedRequest RegionalStore RegionalStoreOptions Regions
      RegionsOptions
    `,
  },
  'portcullis/vault': {
    values: `
      SealedError commandKey createFieldVault createPasswords createVault environmentKey fileKey hashPassword
      keysInUse memoryPeople needsRehash openVault reseal verifyPassword wrappedKey
    `,
    types: `
      FieldIndex FieldVault FieldVaultOptions KeyProvider KeyService KeyState Passwords PasswordsOptions PeopleStore
      PlaceReport ProvidedVaultKey ProvidedVaultOptions ResealOptions ResealReport SealedBatch SealedHolder SealedPlace
      SealedReason Vault VaultKey VaultOptions
    `,
  },
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '')

describe('public names', () => {
  it('every entry of the package has a table here', () => {
    const { exports } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      exports: object
    }
    const entries = Object.keys(exports).filter((entry) => !entry.endsWith('.json'))
    expect(entries.map((entry) => join('portcullis', entry)).toSorted()).toEqual(
      Object.keys(publicNames).toSorted(),
    )
  })

  for (const [entry, { values, types }] of Object.entries(publicNames)) {
    it(`${entry} exports exactly these names; if a change is intended, change the table in public-names.test.ts`, () => {
      const names = exportedNames(join('src', entry.replace(/^portcullis\/?/, ''), 'index.ts'))
      expect(names).toEqual({ values: words(values).toSorted(), types: words(types).toSorted() })
    })
  }
})
