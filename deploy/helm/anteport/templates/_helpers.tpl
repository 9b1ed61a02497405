{{- define "anteport.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "anteport.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "anteport.labels" -}}
{{ include "anteport.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "anteport.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "anteport.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- /* The configuration as values, after all that can be seen to be wrong with it from here; as JSON. */ -}}
{{- define "anteport.config" -}}
{{- $text := required "config is empty: --set-file config=config.yaml" .Values.config -}}
{{- $config := fromYaml $text -}}
{{- if hasKey $config "Error" }}{{ fail (printf "config is not YAML: %s" $config.Error) }}{{ end -}}
{{- $store := dig "sessions" "store" "memory" $config -}}
{{- $admin := dig "admin" "address" "127.0.0.1:9090" $config -}}
{{- $listen := dig "listen" "address" "" $config -}}
{{- if eq $store "memory" -}}
  {{- if gt (int .Values.replicas) 1 }}{{ fail "replicas: sessions are in memory, and no replica knows those of another; sessions.store has to be cookie or redis, or replicas 1" }}{{ end -}}
  {{- if .Values.autoscaling.enabled }}{{ fail "autoscaling: sessions are in memory, and no replica knows those of another; sessions.store has to be cookie or redis" }}{{ end -}}
{{- end -}}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):[0-9]+$" $listen) }}{{ fail (printf "config: listen.address has to be such as 0.0.0.0:8443, and is %q" $listen) }}{{ end -}}
{{- if not (regexMatch "^(127\\.0\\.0\\.1:[0-9]+|\\$\\{ANTEPORT_ADMIN:-127\\.0\\.0\\.1:[0-9]+\\})$" $admin) }}{{ fail (printf "config: admin.address has to be ${ANTEPORT_ADMIN:-127.0.0.1:9090}, or 127.0.0.1 with a port, and is %q: who reaches it can end everybody's session" $admin) }}{{ end -}}
{{- if and .Values.monitoring.enabled (not (hasPrefix "${ANTEPORT_ADMIN:-" $admin)) }}{{ fail "monitoring: config: admin.address has to be ${ANTEPORT_ADMIN:-127.0.0.1:9090}" }}{{ end -}}
{{- if and .Values.monitoring.enabled (not .Values.networkPolicy.enabled) }}{{ fail "monitoring: takes networkPolicy, because everybody in the cluster could end everybody's session otherwise" }}{{ end -}}
{{- if and (eq .Values.pattern "sidecar") (not .Values.portal.container) }}{{ fail "portal.container is empty: with pattern sidecar it is the portal's container" }}{{ end -}}
{{- dict "store" $store "port" (regexFind "[0-9]+$" $listen | int) "adminPort" (regexFind "[0-9]+" (regexFind ":[0-9]+}?$" $admin) | int) | toJson -}}
{{- end }}

{{- define "anteport.container" -}}
{{- $config := include "anteport.config" . | fromJson -}}
{{- $ask := printf "http://127.0.0.1:%v" $config.adminPort -}}
name: anteport
{{- if .Values.image.digest }}
image: {{ printf "%s@%s" .Values.image.repository .Values.image.digest | quote }}
{{- else }}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/anteport/config.yaml]
{{- if eq .Values.pattern "sidecar" }}
# What makes it a sidecar rather than a step before the start.
restartPolicy: Always
{{- else }}
# Once told to stop it takes no more connections, while load balancers go on sending some for a few seconds.
lifecycle:
  preStop: { sleep: { seconds: 10 } }
{{- end }}
{{- if or .Values.env .Values.monitoring.enabled }}
env:
  {{- if .Values.monitoring.enabled }}
  - { name: ANTEPORT_ADMIN, value: "0.0.0.0:{{ $config.adminPort }}" }
  {{- end }}
  {{- with .Values.env }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
ports:
  - { name: https, containerPort: {{ $config.port }} }
  {{- if .Values.monitoring.enabled }}
  - { name: admin, containerPort: {{ $config.adminPort }} }
  {{- end }}
# Asked from inside, so that the admin port can stay on loopback: who reaches it can end everybody's session.
startupProbe:
  exec: { command: [/usr/local/bin/anteport, healthcheck, --url, "{{ $ask }}/readyz"] }
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: 60
readinessProbe:
  exec: { command: [/usr/local/bin/anteport, healthcheck, --url, "{{ $ask }}/readyz"] }
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  exec: { command: [/usr/local/bin/anteport, healthcheck, --url, "{{ $ask }}/livez"] }
  periodSeconds: 10
  timeoutSeconds: 3
resources: {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
volumeMounts:
  - { name: config, mountPath: /etc/anteport, readOnly: true }
  {{- range $index, $secret := .Values.secrets }}
  - { name: secret-{{ $index }}, mountPath: {{ $secret.mountPath }}, readOnly: true }
  {{- end }}
  {{- if .Values.workloadIdentity.enabled }}
  - { name: azure, mountPath: /var/run/secrets/azure/tokens, readOnly: true }
  {{- end }}
{{- end }}
