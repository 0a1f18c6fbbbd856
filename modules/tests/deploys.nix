# A declared model is fetched, proven and deployed; what waits for it starts when it is there, and not before.
{ module }:
let
  story = import ./parts/story.nix { inherit module; };
  model = story.entry "ajna-insight-v1" "the weights of a story";
in
{
  name = "hallmark-deploys";
  nodes = {
    hub = story.hub { files = [ model ]; };
    host =
      { config, pkgs, ... }:
      {
        imports = [
          (story.host {
            indexPath = story.index [ model ];
            deployedModels = [ model.id ];
            huggingFace.endpoint = "http://hub";
          })
        ];
        systemd.services.inference = {
          requires = [ "hallmark-model@${model.id}.target" ];
          after = [ "hallmark-model@${model.id}.target" ];
          wantedBy = [ "hallmark-model@${model.id}.target" ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            DynamicUser = true;
            SupplementaryGroups = [ config.services.models.group ];
            ExecStart = "${pkgs.coreutils}/bin/cat ${config.services.models.paths.${model.id}}/model.bin";
          };
        };
      };
  };
  testScript = ''
    ${story.looks}
    # The host boots while its hub is away: nothing waits for a download.
    host.start()
    host.wait_for_unit("multi-user.target")
    host.wait_for_unit("hallmark.service")
    host.fail("systemctl is-active inference.service")
    host.fail("systemctl is-active models.target")

    hub.start()
    hub.wait_for_open_port(80)
    host.succeed("systemctl restart hallmark.service")
    wait_for_state(host, "${model.id}", "deployed")
    host.wait_for_unit("inference.service")
    host.wait_for_unit("models.target")
    host.succeed("journalctl -u inference.service | grep 'the weights of a story'")
    host.succeed("echo '${model.artifact.sha256}  /var/lib/models/${model.id}/model.bin' | sha256sum --check")
    host.succeed("systemd-analyze security --no-pager --threshold=15 hallmark.service")
  '';
}
