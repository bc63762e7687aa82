package rival

import (
	"context"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

var storageID = component.NewID(component.MustNewType("file_storage"))

// openHelperOnDisk returns the sending queue with the storage that its README
// recommends.
func openHelperOnDisk(ctx context.Context, s Settings) (sdkmetric.Exporter, error) {
	storage, err := openStorage(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("filestorage: %w", err)
	}
	return newHelper(ctx, s, storage, new(Converter).Convert)
}

func openStorage(ctx context.Context, s Settings) (component.Component, error) {
	factory := filestorage.NewFactory()
	config := factory.CreateDefaultConfig().(*filestorage.Config)
	config.Directory, config.FSync = s.Dir, s.Sync
	if err := config.Validate(); err != nil {
		return nil, err
	}
	set := extension.Settings{ID: storageID, TelemetrySettings: noTelemetry()}
	storage, err := factory.Create(ctx, set, config)
	if err != nil {
		return nil, err
	}
	return storage, storage.Start(ctx, host{})
}
