{{- define "streammonitor.labels" -}}
app.kubernetes.io/name: streammonitor-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "streammonitor.selector" -}}
app.kubernetes.io/name: streammonitor-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "streammonitor.image" -}}
{{ .image.repository }}:{{ .image.tag | default .context.Chart.AppVersion }}
{{- end }}
