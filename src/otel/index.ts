export { openTelemetryDecisions, type OpenTelemetryApi, type OpenTelemetryOptions } from './decisions.ts'
